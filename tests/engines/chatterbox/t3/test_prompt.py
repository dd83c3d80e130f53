import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import pre_tokenizers

from tts_cli.engines.chatterbox.t3.prompt import TextTokenizer, normalise
from tts_cli.errors import MissingError, ModelError
from tts_cli.segment import Ending

TAGS = ["[laugh]", "[cough]", "[clear throat]", "[chuckle]"]
PIECES = st.sampled_from([*"aZé ß\t\n…:—–,.!?-“”‘’\"';0", " ,", "  ", "hello", " world", "'ll", "<|endoftext|>", *TAGS])
TEXTS = st.one_of(st.text(min_size=1), st.lists(PIECES, min_size=1).map("".join))


@pytest.fixture(scope="module")
def punc_norm(upstream_code: Any) -> Callable[[str], str]:
    function: Callable[[str], str] = upstream_code.punc_norm
    return function


@given(text=TEXTS)
@settings(max_examples=500)
def test_text_is_normalised_as_upstream(punc_norm: Callable[[str], str], text: str) -> None:
    assert normalise(text) == punc_norm(text)


def test_what_normalising_does() -> None:
    assert normalise("well —  “yes”: it’s … [laugh] fine") == 'Well - "yes", it\'s,  [laugh] fine.'
    assert normalise("Stop! ") == "Stop!"
    assert normalise("") == ""


def test_a_sentence_that_goes_on_gets_no_full_stop() -> None:
    endings: list[Ending] = ["cut", "clause"]
    for ending in endings:
        assert normalise("It was a", ending) == "It was a,"
        assert normalise("It was late;", ending) == "It was late,"
        assert normalise("It was late: ", ending) == "It was late,"
        assert normalise("It was —", ending) == "It was -"
        assert normalise("", ending) == ""
    endings = ["sentence", "line"]
    for ending in endings:
        assert normalise("Chapter One", ending) == "Chapter One."


VOCAB = [
    *sorted(pre_tokenizers.ByteLevel.alphabet()),
    "he",
    "ll",
    "hell",
    "hello",
    "Ġw",
    "or",
    "Ġwor",
    "<|endoftext|>",
]
MERGES = ["h e", "l l", "he ll", "hell o", "Ġ w", "o r", "Ġw or"]


def old_files(folder: Path) -> None:
    (folder / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(VOCAB)}))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(MERGES) + "\n")
    (folder / "added_tokens.json").write_text(json.dumps({t: len(VOCAB) + i for i, t in enumerate(TAGS)}))
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "GPT2Tokenizer"}))


def files_with_flags(folder: Path) -> None:
    old_files(folder)
    (folder / "added_tokens.json").unlink()
    plain = {"lstrip": False, "normalized": True, "rstrip": False, "single_word": False, "special": False}
    added = {str(len(VOCAB) + i): {"content": tag, **plain} for i, tag in enumerate(TAGS)}
    added[str(len(VOCAB) + 1)] |= {"lstrip": True, "normalized": False, "special": True}
    added[str(len(VOCAB) - 1)] = {"content": "<|endoftext|>", **plain, "special": True}
    config = {"tokenizer_class": "GPT2Tokenizer", "added_tokens_decoder": added, "model_max_length": 1024}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))


def new_file(folder: Path) -> None:
    files_with_flags(folder)
    reference(folder).save_pretrained(folder)
    (folder / "vocab.json").unlink()
    (folder / "merges.txt").unlink()
    assert (folder / "tokenizer.json").exists()


def reference(folder: Path) -> Any:
    from transformers import AutoTokenizer

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return AutoTokenizer.from_pretrained(folder)


@pytest.fixture(scope="module", params=[old_files, files_with_flags, new_file], ids=lambda make: make.__name__)
def tokenizers(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("tokenizer")
    request.param(folder)
    return TextTokenizer(folder, len(VOCAB) + len(TAGS)), reference(folder)


@given(text=TEXTS)
@settings(max_examples=200)
def test_the_tokens_are_transformers(tokenizers: Any, text: str) -> None:
    ours, theirs = tokenizers
    text = text.encode("utf-8", "replace").decode()
    assert ours.encode(text) == theirs(text)["input_ids"]


def test_a_tag_is_one_token(tokenizers: Any) -> None:
    ours, _ = tokenizers
    assert ours.encode("[laugh]") == [len(VOCAB)]
    assert len(VOCAB) + 3 in ours.encode("hello [chuckle] world")


def test_no_files(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="model pull"):
        TextTokenizer(tmp_path)


@pytest.mark.parametrize("name", ["vocab.json", "merges.txt", "added_tokens.json", "tokenizer_config.json"])
def test_damaged_files(tmp_path: Path, name: str) -> None:
    old_files(tmp_path)
    text = (tmp_path / name).read_text()
    (tmp_path / name).write_text(text[: len(text) // 2] + "\n{")
    with pytest.raises(ModelError, match="damaged"):
        TextTokenizer(tmp_path)


def test_an_added_token_with_a_wrong_id(tmp_path: Path) -> None:
    old_files(tmp_path)
    (tmp_path / "added_tokens.json").write_text(json.dumps({"[laugh]": 5000}))
    with pytest.raises(ModelError, match="5000"):
        TextTokenizer(tmp_path)


def test_without_the_list_of_tags_nothing_is_spoken(tmp_path: Path) -> None:
    """Or the tags would be read aloud."""
    old_files(tmp_path)
    (tmp_path / "added_tokens.json").unlink()
    with pytest.raises(MissingError, match=r"added_tokens\.json.*\[laugh\].*tts model pull"):
        TextTokenizer(tmp_path, len(VOCAB) + len(TAGS))


@pytest.mark.parametrize("make", [old_files, new_file], ids=lambda make: make.__name__)
@pytest.mark.parametrize("known", [-1, 1])
def test_another_models_list_of_tokens(tmp_path: Path, make: Callable[[Path], None], known: int) -> None:
    make(tmp_path)
    count = len(VOCAB) + len(TAGS)
    name = "tokenizer.json" if make is new_file else "added_tokens.json"
    with pytest.raises(ModelError, match=f"list {count} text tokens, and T3 knows {count + known}; {name}"):
        TextTokenizer(tmp_path, count + known)


def test_a_released_model_has_its_50276_tokens(tiny: Path, tmp_path: Path) -> None:
    assert TextTokenizer(tiny).encode("[laugh]") == [50_265]
    for name in ("vocab.json", "merges.txt", "tokenizer_config.json"):
        (tmp_path / name).symlink_to(tiny / name)
    with pytest.raises(MissingError, match=r"added_tokens\.json"):
        TextTokenizer(tmp_path)
