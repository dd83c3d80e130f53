import pytest

from tts_cli.segment import Ending, Sentence
from tts_cli.text import SentenceSplitter, is_speakable
from tts_cli.text import split as split_whole


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


@pytest.mark.parametrize("sentence", ["a", "7", "é", "你好", "ß", "हिन्दी", "[laugh]", "½", "😀 ok"])
def test_speakable(sentence: str) -> None:
    assert is_speakable(sentence)


@pytest.mark.parametrize("sentence", ["", " \n", "...", "😀🎉", "🇩🇪", "***", "---", "->", "\x00", "…!?", "[]", "_"])
def test_not_speakable(sentence: str) -> None:
    assert not is_speakable(sentence)
