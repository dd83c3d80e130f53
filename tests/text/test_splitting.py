import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tts_cli.segment import Ending, Sentence
from tts_cli.text import SentenceSplitter, is_speakable
from tts_cli.text import split as split_whole
from tts_cli.text.pauses import Patience
from tts_cli.text.sentence_end import LOOKAHEAD


def texts(sentences: list[Sentence]) -> list[str]:
    return [sentence.text for sentence in sentences]


def split(text: str, max_chars: int) -> list[str]:
    return texts(split_whole(text, max_chars))


PROSE = "The quick brown fox jumps over the lazy dog and runs on through the"  # a hard-wrapped line

CASES: list[tuple[str, list[str]]] = [
    # Plain sentences
    ("", []),
    (" \t\n\r\n ", []),
    ("Hello", ["Hello"]),
    ("Hello, world.", ["Hello, world."]),
    ("One. Two! Three?", ["One.", "Two!", "Three?"]),
    ("one. two. three.", ["one.", "two.", "three."]),
    ("  Spaced   out\ttext.  Next.", ["Spaced out text.", "Next."]),
    ("What?! No!!! Really???", ["What?!", "No!!!", "Really???"]),
    ("Bonjour ! Ça va ? Oui.", ["Bonjour !", "Ça va ?", "Oui."]),
    ("We're here. It's 7. Go.", ["We're here.", "It's 7.", "Go."]),
    # Abbreviations
    ("Dr. Smith met Mr. and Mrs. Jones.", ["Dr. Smith met Mr. and Mrs. Jones."]),
    ("Prof. Lee is in. St. Paul is not.", ["Prof. Lee is in.", "St. Paul is not."]),
    ("Use a tool, e.g. a saw, i.e. This one.", ["Use a tool, e.g. a saw, i.e. This one."]),
    ("Apples, pears, etc. are fruit.", ["Apples, pears, etc. are fruit."]),
    ("Apples, pears, etc. Then we left.", ["Apples, pears, etc.", "Then we left."]),
    ("We arrived at 5 p.m. Then we left.", ["We arrived at 5 p.m.", "Then we left."]),
    ("Open 9 a.m. to 5 p.m. daily.", ["Open 9 a.m. to 5 p.m. daily."]),
    ("It starts at 5 p.m. EST today.", ["It starts at 5 p.m. EST today."]),
    ("Come at 5 p.m. Monday. Thanks.", ["Come at 5 p.m. Monday.", "Thanks."]),
    ("Cats vs. Dogs is a film.", ["Cats vs. Dogs is a film."]),
    ("See No. 5 and no. 6. No. I won't.", ["See No. 5 and no. 6.", "No.", "I won't."]),
    ("As in Fig. 3, p. 12, and vol. 2. Fine.", ["As in Fig. 3, p. 12, and vol. 2.", "Fine."]),
    ("On Jan. 5 it began. I like art. You?", ["On Jan. 5 it began.", "I like art.", "You?"]),
    ("The U.S. Senate voted. OK.", ["The U.S. Senate voted.", "OK."]),
    ("He lives in the U.S. She does not.", ["He lives in the U.S.", "She does not."]),
    (
        "Acme Inc. makes it. Sold by Acme Inc. Ask them.",
        ["Acme Inc. makes it.", "Sold by Acme Inc.", "Ask them."],
    ),
    ("She has a Ph.D. in physics. And an M.D. Wow.", ["She has a Ph.D. in physics.", "And an M.D.", "Wow."]),
    ("Smith et al. found it in 44 B.C. Caesar died.", ["Smith et al. found it in 44 B.C.", "Caesar died."]),
    # Initials
    ("J. R. R. Tolkien wrote it. I read it.", ["J. R. R. Tolkien wrote it.", "I read it."]),
    ("George W. Bush and J.K. Rowling met.", ["George W. Bush and J.K. Rowling met."]),
    ("Go with plan B. Then we win.", ["Go with plan B.", "Then we win."]),
    # Numbers, times, versions
    ("Pi is 3.14. Roughly.", ["Pi is 3.14.", "Roughly."]),
    ("It costs $1,234.56! Yes.", ["It costs $1,234.56!", "Yes."]),
    ("Meet at 10:30. Or at 11.45. OK?", ["Meet at 10:30.", "Or at 11.45.", "OK?"]),
    ("Install v1.2.3. Then v2.0.", ["Install v1.2.3.", "Then v2.0."]),
    ("It was 1999. Then 2000 came.", ["It was 1999.", "Then 2000 came."]),
    # URLs, addresses, files
    ("See https://example.com/a.b?q=1.5&r=x. Next.", ["See https://example.com/a.b?q=1.5&r=x.", "Next."]),
    ("Mail jane.doe@mail.example.org. Thanks!", ["Mail jane.doe@mail.example.org.", "Thanks!"]),
    ("Open main.py and /etc/hosts.conf! Then quit.", ["Open main.py and /etc/hosts.conf!", "Then quit."]),
    ("Is it example.com? Yes.", ["Is it example.com?", "Yes."]),
    # Ellipses
    ("Well... maybe. Hmm... Then no.", ["Well... maybe.", "Hmm...", "Then no."]),
    ("Wait… what? I see… Good.", ["Wait… what?", "I see…", "Good."]),
    ("... and so it ends.", ["... and so it ends."]),
    ("Well . . . no. Yes.", ["Well . . . no.", "Yes."]),
    # Quotes and brackets
    ('He said "Stop!" Then left.', ['He said "Stop!"', "Then left."]),
    ('"Stop!" she said. He did.', ['"Stop!" she said.', "He did."]),
    ("“Why?” — nobody knew. “So.” “Yes.”", ["“Why?” — nobody knew.", "“So.”", "“Yes.”"]),
    ("It works (mostly.) Good.", ["It works (mostly.)", "Good."]),
    ("The firm (Acme Inc.) paid. OK.", ["The firm (Acme Inc.) paid.", "OK."]),
    ("**Note.** Read this.", ["**Note.**", "Read this."]),
    # Tags
    ("That's funny! [laugh] I know.", ["That's funny!", "[laugh] I know."]),
    ("Stop![cough] Sorry.", ["Stop!", "[cough] Sorry."]),
    ("Well [clear throat] hello. [sigh]", ["Well [clear throat] hello.", "[sigh]"]),
    ("See it.[12] Next.", ["See it.[12]", "Next."]),
    ("True.[1][2] Next.[3, 4]\nThen.²", ["True.[1][2]", "Next.[3, 4]", "Then.²"]),
    ("The U.S.[1] Senate voted.[a] OK.", ["The U.S.[1] Senate voted.", "[a] OK."]),
    ("Wow.[12", ["Wow.[12"]),
    ("Wow.[12][laugh] so.", ["Wow.[12]", "[laugh] so."]),
    ("对。[1]错。", ["对。[1]", "错。"]),
    # Other scripts
    ("你好。世界！好吗？好", ["你好。", "世界！", "好吗？", "好"]),
    ("「行くよ！」次は３.１４です。", ["「行くよ！」", "次は３.１４です。"]),
    ("「はい。」と言った。「いいえ。」", ["「はい。」と言った。", "「いいえ。」"]),
    ("『はい!』と言った。", ["『はい!』と言った。"]),
    ("〔注。〕次。〚注。〛次。", ["〔注。〕", "次。", "〚注。〛", "次。"]),
    ("他说:“好。”然后走了。", ["他说:“好。”", "然后走了。"]),
    ("你好!世界?好吗?!好", ["你好!", "世界?", "好吗?!", "好"]),
    ("你好!abc def!你好", ["你好!abc def!你好"]),
    ("यह है। वह है।", ["यह है।", "वह है।"]),
    ("هل أنت هنا؟ نعم.", ["هل أنت هنا؟", "نعم."]),
    ("Привет. Как дела? Хорошо.", ["Привет.", "Как дела?", "Хорошо."]),
    # Emoji
    ("Great! 😀 Next.", ["Great!", "😀 Next."]),
    ("Great!😀 Next.", ["Great!😀", "Next."]),
    ("!!! Stop. Now.", ["!!! Stop.", "Now."]),
    # Lines
    ("A heading\nSome text.\nMore", ["A heading", "Some text.", "More"]),
    ("# " + PROSE + "\nBody.", ["# " + PROSE, "Body."]),
    ("One line\r\nAnother line\r\n", ["One line", "Another line"]),
    ("One\rTwo\u2028Three\fFour", ["One", "Two", "Three", "Four"]),
    (PROSE + "\nwoods. The end.", [PROSE + " woods.", "The end."]),
    (PROSE + "\r\nwoods and\r\nback", [PROSE + " woods and", "back"]),
    ("Begin. " + PROSE + "\nwoods.", ["Begin.", PROSE + " woods."]),
    (
        "It began long ago, they say. The fox had run through the whole\nwood. Oh.",
        ["It began long ago, they say.", "The fox had run through the whole wood.", "Oh."],
    ),
    (PROSE + "\n\nNext paragraph", [PROSE, "Next paragraph"]),
    (PROSE + " St.\nPaul church.", [PROSE + " St. Paul church."]),
    (PROSE + " U.S.\nThe end.", [PROSE + " U.S.", "The end."]),
    ("He met Dr.\n\nJones", ["He met Dr.", "Jones"]),
    # Lists
    ("- Milk\n- Bread\n* Eggs", ["- Milk", "- Bread", "* Eggs"]),
    ("1. Buy milk.\n2. Eat it\n10) Sleep", ["1. Buy milk.", "2. Eat it", "10) Sleep"]),
    ("a) First\nb) Second", ["a) First", "b) Second"]),
    ("- " + PROSE + "\n- Next", ["- " + PROSE, "- Next"]),
    (PROSE + ":\nthis", [PROSE + ":", "this"]),
    ("A. Introduction\nII. Method", ["A. Introduction", "II. Method"]),
    ("How old are you?\n5.\nThanks", ["How old are you?", "5.", "Thanks"]),
]


@pytest.mark.parametrize(("text", "sentences"), CASES)
def test_split(text: str, sentences: list[str]) -> None:
    assert split(text, 300) == sentences
    splitter = SentenceSplitter(300)
    assert texts([s for char in text for s in splitter.feed(char)] + splitter.finish()) == sentences


@pytest.mark.parametrize(
    ("text", "endings"),
    [
        ("One. Two", ["sentence", "line"]),
        ("One.", ["sentence"]),
        ("He met Dr.", ["sentence"]),
        ('"Stop!"\n', ["sentence"]),
        ("Chapter One\nIt was night.\n- Milk\n- Bread", ["line", "sentence", "line", "line"]),
        (PROSE + "\n\nNext", ["line", "line"]),
        ("you, " * 70 + "and I.", ["clause", "sentence"]),
        ("you " * 80 + "and I.", ["cut", "sentence"]),
        ("a" * 301, ["cut", "line"]),
    ],
)
def test_how_a_sentence_ends_is_known(text: str, endings: list[Ending]) -> None:
    assert [sentence.ending for sentence in split_whole(text, 300)] == endings


@pytest.mark.parametrize(
    ("text", "new_paragraphs"),
    [
        ("\n\nOne. Two.\nThree.", [False, False, False]),
        ("One.\n\nTwo.", [False, True]),
        ("One.\n \t\r\nTwo.\r\n\r\nThree. Four.", [False, True, True, False]),
        ("One.\r\nTwo.\rThree.", [False, False, False]),
        ("A heading\n\nText\fA page\u2029More", [False, True, True, True]),
        (PROSE + "\n\n" + PROSE + "\nmore.", [False, True]),
    ],
)
def test_a_blank_line_begins_a_paragraph(text: str, new_paragraphs: list[bool]) -> None:
    assert [sentence.new_paragraph for sentence in split_whole(text, 300)] == new_paragraphs


@pytest.mark.parametrize(
    ("piece", "sentences"),
    [
        ("First sentence. ", ["First sentence."]),
        ("First sentence.\n", ["First sentence."]),
        ("First sentence.\r\n", ["First sentence."]),
        ("Hello!\t", ["Hello!"]),
        ("Really?! ", ["Really?!"]),
        ("A line\n", ["A line"]),
        ("He met Dr.\n", ["He met Dr."]),
        ("He said “Stop!”\n", ["He said “Stop!”"]),
        ("你好。世", ["你好。"]),
        ("It was 1999. ", ["It was 1999."]),
        ("At 5 p.m. The ", ["At 5 p.m."]),
        ("I see... G", ["I see..."]),
        (PROSE + "\n\n", [PROSE]),
        (PROSE + ".\n", [PROSE + "."]),
        ("Pi is 3.", []),
        ("Hello!", []),
        ("At 5 p.m. ", []),
        ("Dr. ", []),
        (PROSE + "\n", []),
    ],
)
def test_a_sentence_leaves_as_soon_as_it_is_whole(piece: str, sentences: list[str]) -> None:
    assert texts(SentenceSplitter(300).feed(piece)) == sentences


def test_finish_leaves_the_splitter_as_new() -> None:
    splitter = SentenceSplitter(300)
    assert texts(splitter.feed("One. " + PROSE + " Dr.\r")) == ["One."]
    assert texts(splitter.finish()) == [PROSE + " Dr."]
    assert splitter.finish() == []
    assert splitter.feed("\n\nTwo\nThree ") == [Sentence("Two", "line")]
    assert texts(splitter.finish()) == ["Three"]


@pytest.mark.parametrize(
    ("text", "max_chars", "sentences"),
    [
        ("one two, three four five", 16, ["one two,", "three four five"]),
        ("a, two three four", 12, ["a, two three", "four"]),
        ("abcdefghij", 4, ["abcd", "efgh", "ij"]),
        ("word word", 4, ["word", "word"]),
        ("it is 1,000,000 and more", 14, ["it is", "1,000,000 and", "more"]),
        ("你好，世界你好世界你", 6, ["你好，", "世界你好世界", "你"]),
        ("hello [clear throat] you", 14, ["hello", "[clear throat]", "you"]),
        ("hello[laugh]", 9, ["hello", "[laugh]"]),
        ("abcde\u0301f", 5, ["abcd", "e\u0301f"]),
        ("ab👩‍👩‍👧cd", 4, ["ab", "👩‍👩‍👧"[:4], "👩‍👩‍👧"[4:] + "cd"]),
        ("ab👩‍👩‍👧cd", 6, ["ab", "👩‍👩‍👧c", "d"]),
        ("a🇩🇪🇫🇷", 4, ["a🇩🇪", "🇫🇷"]),
        ("abc👍🏽", 4, ["abc", "👍🏽"]),
        ("abc\ud83d\ude00", 4, ["abc", "\ud83d\ude00"]),
        ("Exactly ten", 11, ["Exactly ten"]),
        ("Nine ten.", 9, ["Nine ten."]),
        ("ab", 1, ["a", "b"]),
    ],
)
def test_a_long_sentence_is_cut_at_the_best_place(text: str, max_chars: int, sentences: list[str]) -> None:
    assert split(text, max_chars) == sentences


def test_max_chars_is_positive() -> None:
    with pytest.raises(ValueError, match="positive"):
        SentenceSplitter(0)


# Text dense in everything the rules look at, besides arbitrary text.
CHARACTERS = "abAI15.!?…。！ \n\r\t,;:-#*(\"”)'[]\u00a0\u0301\u200d\u0085\f\x1c\x00😀🇩🇪\ud83d\ude00"
WORDS = ["Dr. ", "p.m. ", "e.g. ", "U.S. ", "No. 5", "The ", "[laugh]", "[a b", "...", "x.yz/?q=1 ", "J. R. "]
LINES = ["\r\n", "\n\n", "\n- ", "\n1. ", PROSE, " " * (LOOKAHEAD - 1), "中文，", "Monday"]
PARTS = [*CHARACTERS, *WORDS, *LINES]
TEXTS = st.one_of(st.text(max_size=120), st.lists(st.sampled_from(PARTS), max_size=40).map("".join))
LIMITS = st.one_of(st.integers(1, 20), st.sampled_from([60, 300]))


def bare(text: str) -> str:
    return "".join(text.split())


@settings(max_examples=400, deadline=None)
@given(TEXTS, LIMITS)
def test_nothing_is_lost_or_invented(text: str, max_chars: int) -> None:
    sentences = split(text, max_chars)
    assert bare("".join(sentences)) == bare(text)
    for sentence in sentences:
        assert 0 < len(sentence) <= max_chars
        assert sentence == " ".join(sentence.split())


@settings(max_examples=600, deadline=None)
@given(TEXTS, LIMITS, st.data())
def test_the_cut_into_pieces_does_not_matter(text: str, max_chars: int, data: st.DataObject) -> None:
    whole = split_whole(text, max_chars)
    splitter = SentenceSplitter(max_chars)
    assert [s for char in text for s in splitter.feed(char)] + splitter.finish() == whole

    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert [s for piece in pieces for s in splitter.feed(piece)] + splitter.finish() == whole


PATIENCE: list[Patience] = ["sentences", "words", "all"]


@settings(max_examples=400, deadline=None)
@given(st.lists(st.tuples(TEXTS, st.sampled_from([None, *PATIENCE]))), LIMITS)
def test_a_pause_loses_and_invents_nothing(pieces: list[tuple[str, Patience | None]], max_chars: int) -> None:
    splitter, found = SentenceSplitter(max_chars), []
    for piece, patience in pieces:
        found += splitter.feed(piece)
        if patience is not None:
            found += splitter.pause(patience)
    found += splitter.finish()
    assert bare("".join(texts(found))) == bare("".join(piece for piece, _ in pieces))
    assert all(0 < len(sentence.text) <= max_chars for sentence in found)


@pytest.mark.parametrize(
    ("text", "sentences", "words", "everything"),
    [
        # Complete by its punctuation
        ("Let me check that.", ["Let me check that."], [], []),
        ("Well... i see... ", ["Well... i see..."], [], []),
        ("Really?", ["Really?"], [], []),
        ('He said "Stop!"', ['He said "Stop!"'], [], []),
        ("See it.[12]", ["See it.[12]"], [], []),
        ("你好。", ["你好。"], [], []),
        ("「はい。」", ["「はい。」"], [], []),
        # Half a number, a word, an abbreviation or an address
        ("Pi is 3.", [], ["Pi is"], ["3."]),
        ("Pi is 3", [], ["Pi is"], ["3"]),
        ("It costs 1,", [], ["It costs"], ["1,"]),
        ("He lives in the U.", [], ["He lives in the"], ["U."]),
        ("He lives in the U.S.", [], ["He lives in the"], ["U.S."]),
        ("A tool, e.g.", [], ["A tool,"], ["e.g."]),
        ("A tool, e.g. ", [], ["A tool,"], ["e.g."]),
        ("I met Dr. J. ", [], ["I met"], ["Dr. J."]),
        ("1. ", [], [], ["1."]),
        ("Go to www.", [], ["Go to"], ["www."]),
        ("Go to example.co.", [], ["Go to"], ["example.co."]),
        ("Go to https://a.b/?", [], ["Go to"], ["https://a.b/?"]),
        ("hel", [], [], ["hel"]),
        ("Say hel", [], ["Say"], ["hel"]),
        ("Say hello ", [], ["Say hello"], []),
        # Words that are whole
        ("At 5 p.m.", [], ["At 5 p.m."], []),
        ("I said no.", [], ["I said no."], []),
        ("Password:", [], ["Password:"], []),
        ("Well,", [], ["Well,"], []),
        (PROSE + "\n", [], [PROSE], []),
        # A tag that was begun
        ("Hm [clear thr", [], ["Hm"], []),
        ("[lau", [], [], []),
        # Nothing that could be spoken
        ("...", [], [], ["..."]),
        ("", [], [], []),
    ],
)
def test_what_a_pause_lets_be_spoken(text: str, sentences: list[str], words: list[str], everything: list[str]) -> None:
    splitter = SentenceSplitter(300)
    assert splitter.feed(text) == []
    assert [texts(splitter.pause(patience)) for patience in PATIENCE] == [sentences, words, everything]


@pytest.mark.parametrize("patience", ["sentences", "words"])
@pytest.mark.parametrize("size", [1, 2, 3])
def test_a_writer_who_pauses_all_the_time_parts_no_word_and_no_number(patience: Patience, size: int) -> None:
    text = (
        "Pi is 3.14159, e.g. 1,000 of the U.S. say so at 5 p.m. today. Dr. J. Foo [laugh] agrees: hello! It's 10:30.\n"
    )
    splitter, found = SentenceSplitter(300), []
    for start in range(0, len(text), size):
        found += splitter.feed(text[start : start + size]) + splitter.pause(patience)
    found += splitter.finish()
    assert " ".join(texts(found)) == text.strip(), "cut only at white space"
    for sentence in texts(found):
        assert not sentence.endswith(("Dr.", "J.", "e.g.")), sentence


def test_after_a_pause_in_a_sentence_the_rest_is_known_to_go_on() -> None:
    splitter = SentenceSplitter(300)
    assert splitter.feed("The quick brown ") == []
    assert splitter.pause("words") == [Sentence("The quick brown", "cut")]
    assert splitter.feed("fox jumps.\n\nNext.\n") == [
        Sentence("fox jumps.", "sentence"),
        Sentence("Next.", "sentence", new_paragraph=True),
    ]
    assert splitter.feed(PROSE + "\n") == []
    assert splitter.pause("words") == [Sentence(PROSE, "line")]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(["[laugh]", "[clear throat]", "so", "well,", "Yes.", "Dr."]), max_size=40))
def test_a_tag_is_never_split(words: list[str]) -> None:
    text = " ".join(words)
    tags = re.findall(r"\[.*?\]", text)
    assert [tag for s in split(text, 20) for tag in re.findall(r"\[.*?\]", s)] == tags


@pytest.mark.parametrize("unit", ["a", "word ", "\n", " ", "[a", "!", "你", "clause, ", "Dr. Who. "])
def test_an_endless_line_takes_linear_work_and_bounded_memory(unit: str) -> None:
    size, piece, max_chars = 1 << 20, 1 << 16, 300
    text = unit * (size // len(unit))
    splitter = SentenceSplitter(max_chars)
    count, started = 0, time.process_time()
    for at in range(0, len(text), piece):
        count += len(splitter.feed(text[at : at + piece]))
        assert len(splitter._text) <= max_chars + 2 * LOOKAHEAD + 2
    count += len(splitter.finish())
    assert count * max_chars >= len(bare(text))
    assert time.process_time() - started < 10  # quadratic work would take minutes


@pytest.mark.parametrize("sentence", ["a", "7", "é", "你好", "ß", "हिन्दी", "[laugh]", "½", "😀 ok"])
def test_speakable(sentence: str) -> None:
    assert is_speakable(sentence)


@pytest.mark.parametrize("sentence", ["", " \n", "...", "😀🎉", "🇩🇪", "***", "---", "->", "\x00", "…!?", "[]", "_"])
def test_not_speakable(sentence: str) -> None:
    assert not is_speakable(sentence)
