"""Weights: found where they are, and what is said where they are not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.pulling import SPOKEN, T3, Machine, fill
from tts_cli.engines.chatterbox.weights.locate import hub_cache, installed, locate, ref_file, require_packages
from tts_cli.engines.chatterbox.weights.models import MODELS, find_model
from tts_cli.errors import MissingError, UsageError

pytestmark = pytest.mark.usefixtures("own_home")


class TestLocate:
    def test_folder_given(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        folder = fill(tmp_path / "weights", SPOKEN)
        assert locate("turbo", folder) == folder
        monkeypatch.setenv("TTS_MODEL_DIR", str(folder))
        assert locate("turbo") == folder
        with pytest.raises(MissingError, match=r"lacks ve\.safetensors"):
            locate("turbo", voice_caching=True)
        with pytest.raises(MissingError, match="--model turbo"):
            locate("nano")
        with pytest.raises(MissingError, match="no folder"):
            locate("turbo", tmp_path / "elsewhere")

    def test_one_tokenizer_file_will_do(self, tmp_path: Path) -> None:
        folder = fill(tmp_path, {T3: b"", "s3gen_meanflow.safetensors": b"", "tokenizer.json": b"{}"})
        assert locate("turbo", folder) == folder

    def test_main_goes_before_newer_ones_that_may_be_broken(self, tmp_path: Path) -> None:
        place = tmp_path / "home" / "hub" / "models--ResembleAI--chatterbox-turbo"
        main = fill(place / "snapshots" / ("a" * 40), SPOKEN)
        other = fill(place / "snapshots" / ("b" * 40), SPOKEN)
        fill(place / "refs", {"main": b"a" * 40})
        assert locate("turbo") == main
        assert locate("turbo", revision="b" * 40) == other
        (main / T3).unlink()
        assert locate("turbo") == other
        with pytest.raises(MissingError, match="tts model pull turbo --revision v2"):
            locate("turbo", revision="v2")

    def test_the_newest_one_serves_where_there_is_no_main(self, tmp_path: Path) -> None:
        place = tmp_path / "home" / "hub" / "models--ResembleAI--chatterbox-turbo"
        for digit, age in (("a", 30), ("b", 10), ("c", 20)):
            snapshot = fill(place / "snapshots" / (digit * 40), SPOKEN)
            os.utime(snapshot, (0, 1_000_000 - age))
        assert locate("turbo").name == "b" * 40

    def test_lists_what_is_here(self, tmp_path: Path) -> None:
        folder = fill(tmp_path / "weights", {**SPOKEN, "ve.safetensors": b"12345"})
        place = tmp_path / "home" / "hub" / "models--ResembleAI--chatterbox-nano"
        snapshot = fill(place / "snapshots" / ("a" * 40), {"merges.txt": b"123"})
        turbo, nano = installed(folder)
        assert (turbo.model.name, turbo.path, turbo.lacks, turbo.speaks) == ("turbo", folder, (), True)
        assert turbo.size == 5 + sum(map(len, SPOKEN.values()))
        assert (nano.model.name, nano.path, nano.size, nano.speaks) == ("nano", snapshot, 3, False)
        assert MODELS["nano"].t3 in nano.lacks

    def test_needs_neither_torch_nor_the_hub(self, machine: Machine) -> None:
        code = "import sys, tts_cli.engines.chatterbox.weights.locate as m; m.installed(); print(*sys.modules)"
        assert not {"torch", "huggingface_hub", "chatterbox"} & set(machine.run(code).split())

    def test_names_the_packages_that_are_missing(self, machine: Machine) -> None:
        with pytest.raises(UsageError, match="turbo, nano"):
            find_model("large")
        require_packages()
        code = (
            "import sys; sys.modules['torch'] = None\n"
            "from tts_cli.engines.chatterbox.weights.locate import locate, require_packages\n"
            "for call in (require_packages, locate):\n"
            "    try: call()\n"
            "    except Exception as error: print(error)"
        )
        assert machine.run(code).count("pip install") == 2

    @pytest.mark.parametrize("revision", ["../main", "/etc", "", "a/../../b", "a\\b"])
    def test_no_revision_leads_out_of_the_cache(self, tmp_path: Path, revision: str) -> None:
        with pytest.raises(UsageError):
            ref_file(tmp_path, revision)

    @pytest.mark.parametrize(
        "environment",
        [
            {},
            {"XDG_CACHE_HOME": "~/xdg"},
            {"HF_HOME": "$HOME/hf"},
            {"HF_HOME": "/hf", "HUGGINGFACE_HUB_CACHE": "/old"},
            {"HF_HOME": "/hf", "HUGGINGFACE_HUB_CACHE": "/old", "HF_HUB_CACHE": "~/new"},
        ],
        ids=lambda environment: "+".join(environment) or "nothing",
    )
    def test_agrees_with_huggingface_hub_on_the_place(
        self, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, machine: Machine
    ) -> None:
        for name in ("HF_HOME", "XDG_CACHE_HOME"):
            monkeypatch.delenv(name, raising=False)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        code = "from huggingface_hub.constants import HF_HUB_CACHE; print(HF_HUB_CACHE)"
        theirs = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        assert str(hub_cache()) == theirs.strip()
