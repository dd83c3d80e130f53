"""Chatterbox on the command line as its users meet it: real processes, on checkpoints of random weights."""

from __future__ import annotations

import io
import json
import os
import pickle
import re
import shutil
import signal
import subprocess
from collections.abc import Callable
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load_file, save_file

from tests import warm
from tests.harness import PATIENCE, TTS, Run, clean_environment, complaint
from tests.hub import COMMIT, Hub, HubServer
from tests.loudspeaker import PCM
from tts_cli.engines.chatterbox.schedule.sizes import FIRST, chunk_sizes
from tts_cli.engines.chatterbox.t3.sampling import TRAILING_SILENCE, token_budget
from tts_cli.engines.chatterbox.weights.config import SAMPLES_PER_TOKEN, STOP

TEXT = "Hi."
TOKENS = token_budget(TEXT) + TRAILING_SILENCE
"""Random weights do not know when to stop: the guard ends them."""
T3, S3GEN = "t3_turbo_v1.safetensors", "s3gen_meanflow.safetensors"

Spoken = Callable[..., "tuple[PCM, dict[str, Any]]"]


@pytest.fixture
def environment(environment: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """Without weights but those that a test names, and quick on networks that are small."""
    home = {"HF_HOME": str(tmp_path / "hugging face"), "TTS_VOICES_DIR": str(tmp_path / "voices")}
    return environment | home | {"OMP_NUM_THREADS": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}


@pytest.fixture(scope="module")
def spoken(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Spoken:
    """What `tts speak "Hi."` with some options writes, int16, and its JSON; each set of options is spoken once."""
    environment = clean_environment() | {"OMP_NUM_THREADS": "1"}
    voices = tmp_path_factory.mktemp("voices")
    shutil.copy(tiny / "conds.pt", voices / "bob.pt")

    @cache
    def speak(*options: str) -> tuple[PCM, dict[str, Any]]:
        out = tmp_path_factory.mktemp("spoken") / "x.wav"
        arguments = ("--model-dir", str(tiny), "--voices-dir", str(voices), "-o", str(out), "--json", "--quiet")
        command = ["speak", TEXT, *arguments, *options]
        done = warm.run([*TTS, *command], env=environment, cwd=out.parent, timeout=PATIENCE)
        assert done.returncode == 0
        told = f"tts: '{TEXT}': stopped after 3 s, the longest it may take; try another --seed"
        assert done.stderr.decode().splitlines() == [told], "weights of chance do not find an end"
        samples, rate = soundfile.read(out, dtype="int16")
        assert rate == 24_000
        return samples, json.loads(done.stdout)

    return speak


@pytest.fixture(scope="module")
def hasty(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights that stop at once: whatever the text, nothing but the silence at its end."""
    folder = changed(tiny, tmp_path_factory.mktemp("hasty"), T3)
    tensors = load_file(tiny / T3)
    tensors["speech_head.bias"][STOP] += 1000
    save_file(tensors, folder / T3)
    return folder


def changed(tiny: Path, folder: Path, *left_out: str) -> Path:
    """`folder`, with links to the files of `tiny` but those that a test makes otherwise."""
    for file in tiny.iterdir():
        if file.name not in left_out:
            (folder / file.name).symlink_to(file)
    return folder


class TestSpeaking:
    def test_auto_is_chatterbox_where_its_weights_are(self, spoken: Spoken) -> None:
        samples, report = spoken()
        assert (report["engine"], report["voice"], report["mode"]) == ("chatterbox", "default", "streaming")
        assert len(samples) == TOKENS * SAMPLES_PER_TOKEN
        assert report["ttfa_ms"] < report["total_ms"]
        assert np.abs(samples).max() > 1000

    @pytest.mark.parametrize("speed", ["0.5", "1.6"])
    @pytest.mark.parametrize("chunk", ["10", "auto"])
    def test_its_sound_is_stretched_to_the_pace(self, spoken: Spoken, speed: str, chunk: str) -> None:
        samples, report = spoken("--speed", speed, "--chunk", chunk)
        assert len(samples) == round(TOKENS * SAMPLES_PER_TOKEN / float(speed))
        assert report["audio_ms"] == pytest.approx(len(samples) / 24, abs=0.1)
        assert np.abs(samples).max() > 1000

    @pytest.mark.parametrize("strategy", ["independent", "overlap"])
    def test_every_strategy_speaks_the_same_length_in_its_own_way(self, spoken: Spoken, strategy: str) -> None:
        samples, report = spoken("--strategy", strategy)
        assert len(samples) == TOKENS * SAMPLES_PER_TOKEN
        assert report["chunks"] > 5
        assert not np.array_equal(samples, spoken("--threads", "1")[0])

    def test_another_seed_changes_the_sound(self, spoken: Spoken) -> None:
        assert not np.array_equal(spoken("--seed", "1")[0], spoken()[0])

    def test_simple_mode_is_one_chunk_of_the_same_length(self, spoken: Spoken) -> None:
        samples, report = spoken("--mode", "simple")
        assert len(samples) == TOKENS * SAMPLES_PER_TOKEN
        assert (report["mode"], report["chunks"]) == ("simple", 1)

    def test_chunks_of_one_token(self, spoken: Spoken) -> None:
        samples, report = spoken("--chunk", "1", "--no-watermark")
        assert len(samples) == TOKENS * SAMPLES_PER_TOKEN
        samples, report = spoken("--chunk", "1", "--no-watermark", "--strategy", "context")
        assert len(samples) == TOKENS * SAMPLES_PER_TOKEN
        # The lookahead of three tokens comes out with the last chunk.
        assert report["chunks"] == TOKENS - 3 + 1

    def test_chunks_of_ten_tokens(self, spoken: Spoken) -> None:
        samples, report = spoken("--chunk", "10")
        assert len(samples) == TOKENS * SAMPLES_PER_TOKEN
        assert report["chunks"] == 2 + (TOKENS - FIRST) // 10, "a small one, then tens, and the rest"

    def test_chunks_that_grow(self, spoken: Spoken) -> None:
        samples, report = spoken("--chunk", "auto")
        assert len(samples) == TOKENS * SAMPLES_PER_TOKEN
        whole = [sum(islice(chunk_sizes(None, soon=True, first_segment=True), number)) for number in range(1, TOKENS)]
        assert report["chunks"] == sum(end <= TOKENS for end in whole) + 1, "each as large as it says, and the rest"
        assert report["chunks"] < spoken("--chunk", "10")[1]["chunks"]
        assert np.array_equal(samples, spoken("--seed", "0")[0]), "the default; chunks do not depend on time"

    def test_a_shorter_reference_and_other_precisions_give_as_much_sound(self, spoken: Spoken) -> None:
        for options in (
            ("--prompt-seconds", "0.2"),
            ("--precision", "int4"),
            ("--precision", "bf16", "--threads", "2"),
        ):
            samples, report = spoken(*options)
            assert len(samples) % SAMPLES_PER_TOKEN == 0 < len(samples)
            assert report["precision"]
        assert spoken("--precision", "fp32")[1]["precision"] == "fp32"

    def test_the_watermark_is_in_the_sound_unless_it_is_turned_off(self, spoken: Spoken) -> None:
        marked, plain = spoken()[0].astype(float), spoken("--no-watermark")[0].astype(float)
        assert marked.shape == plain.shape
        difference = np.sqrt(np.mean((marked - plain) ** 2) / np.mean(plain**2))
        assert 0.001 < difference < 0.5

    def test_a_voice_copied_by_hand_speaks_and_one_thread_says_what_two_say(self, spoken: Spoken) -> None:
        samples, report = spoken("--voice", "bob", "--no-parallel", "--threads", "1")
        assert report["voice"] == "bob"
        assert np.array_equal(samples, spoken("--threads", "1")[0]), (
            "bob is a copy of the default voice, and the seed is the same"
        )

    def test_sentences_are_spoken_in_groups_of_up_to_100_200_and_300_characters(self, tts: Run, hasty: Path) -> None:
        sentence = f"This one has {'very ' * 20}many words."
        assert 100 < len(sentence) < 149
        arguments = ("--model-dir", str(hasty), "-o", "x.wav", "--json")
        report = json.loads(tts("speak", " ".join([sentence] * 5), *arguments).stdout)
        assert report["audio_ms"] == 4 * TRAILING_SILENCE * 40, "one, one, two and one"
        assert report["text_chars"] == 5 * len(sentence) + 1

    def test_ctrl_c_in_the_middle_ends_both_threads(self, tiny: Path, environment: dict[str, str]) -> None:
        text = "Nobody is going to listen to all of this. " * 100
        command = [*TTS, "speak", text, "--model-dir", str(tiny), "-o", "-", "--raw", "--parallel"]
        with warm.popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            assert len(process.stdout.read(19_200)) == 19_200
            process.send_signal(signal.SIGINT)
            rest = process.stdout.read()
            assert process.wait(PATIENCE) == 130
            assert process.stderr.read().startswith(b"interrupted")
        assert len(rest) < 100 * 48_000, "of some six minutes"


class TestRefusing:
    @pytest.mark.parametrize(
        ("option", "value"),
        [("--temperature", "11"), ("--top-p", "1.5"), ("--top-k", "-1"), ("--repetition-penalty", "0")],
    )
    def test_sampling_out_of_range(self, tts: Run, tiny: Path, option: str, value: str) -> None:
        done = tts("speak", TEXT, "--model-dir", str(tiny), "-o", "x.wav", option, value)
        assert done.returncode == 2
        assert option in complaint(done)

    def test_an_unknown_voice_names_those_there_are(self, tts: Run, tiny: Path, tmp_path: Path) -> None:
        done = tts("speak", TEXT, "--model-dir", str(tiny), "-o", "x.wav", "--voice", "zoe")
        assert done.returncode == 2
        assert re.search(r"'zoe'.*default", complaint(done))
        assert list(tmp_path.glob("*.wav")) == []

    def test_a_malicious_voice_executes_nothing(self, tts: Run, tiny: Path, tmp_path: Path) -> None:
        class Evil:
            def __reduce__(self) -> Any:
                return os.system, (f"touch '{tmp_path / 'proof'}'",)

        (tmp_path / "voices").mkdir()
        (tmp_path / "voices" / "evil.pt").write_bytes(pickle.dumps(Evil()))
        done = tts("speak", TEXT, "--model-dir", str(tiny), "-o", "x.wav", "--voice", "evil")
        assert done.returncode == 1
        assert "evil.pt cannot be read as a voice" in complaint(done)
        assert [path.name for path in tmp_path.iterdir()] == ["voices"]

    def test_truncated_weights_name_the_file_and_what_mends_it(self, tts: Run, tiny: Path, tmp_path: Path) -> None:
        folder = changed(tiny, tmp_path, T3)
        (folder / T3).write_bytes((tiny / T3).read_bytes()[:200_000])
        done = tts("speak", TEXT, "--model-dir", str(folder), "-o", "x.wav")
        assert done.returncode == 1
        assert re.search(f"{T3} is damaged.*; delete .*{T3} and run: tts model pull$", complaint(done))

    def test_a_tensor_of_the_wrong_shape_is_named_with_both(self, tts: Run, tiny: Path, tmp_path: Path) -> None:
        folder = changed(tiny, tmp_path, S3GEN)
        tensors = load_file(tiny / S3GEN)
        tensors["flow.encoder_proj.weight"] = torch.zeros(80, 17)
        save_file(tensors, folder / S3GEN)
        done = tts("speak", TEXT, "--model-dir", str(folder), "-o", "x.wav")
        assert done.returncode == 1
        assert f"{S3GEN}: tensor flow.encoder_proj.weight has shape [80, 17], expected [80, 16]" in complaint(done)

    @pytest.mark.parametrize("engine", ["auto", "chatterbox"])
    def test_a_folder_that_lacks_files_names_them(self, tts: Run, tiny: Path, tmp_path: Path, engine: str) -> None:
        folder = changed(tiny, tmp_path, S3GEN, "merges.txt")
        done = tts("speak", TEXT, "--model-dir", str(folder), "--engine", engine, "-o", "x.wav")
        assert done.returncode == 3
        assert f"lacks {S3GEN}, merges.txt" in complaint(done)

    def test_a_folder_that_is_not_there(self, tts: Run) -> None:
        done = tts("speak", TEXT, "--model-dir", "nowhere", "-o", "x.wav")
        assert done.returncode == 3
        assert re.search("no folder nowhere.*--model-dir", complaint(done))


def test_weights_are_pulled_listed_found_and_speak_what_a_pipe_says(
    tts: Run, hasty: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    hub = Hub("ResembleAI/chatterbox-turbo", {file.name: file.read_bytes() for file in hasty.iterdir()})
    snapshot = tmp_path / "hugging face/hub/models--ResembleAI--chatterbox-turbo/snapshots" / COMMIT
    with HubServer(hub) as server:
        pulled = tts("model", "pull", "turbo", env=environment | {"HF_ENDPOINT": server.url})
    assert (pulled.returncode, pulled.stderr) == (0, b"")
    assert pulled.stdout.decode().split("\n") == [str(snapshot), ""]
    assert {file.name for file in snapshot.iterdir()} == set(hub.files)
    listed = tts("model", "list").stdout.decode()
    assert re.search(r"turbo +complete +[\d.]+ MB +/", listed)
    assert "".join(str(snapshot).split()) in "".join(listed.split()), "folded where the terminal ends"
    assert tts("model", "path").stdout.decode() == f"{snapshot}\n"
    done = tts("speak", "-o", "-", input=b"Well [laugh] that is it.\n")
    assert b"chatterbox/default" in done.stderr
    sound, _ = soundfile.read(io.BytesIO(done.stdout))
    assert len(sound) == TRAILING_SILENCE * SAMPLES_PER_TOKEN


def test_subtitles_place_the_sentences_of_a_group_by_its_pauses_and_lengths(
    tts: Run, tiny: Path, tmp_path: Path
) -> None:
    text = "It rained. Nobody went out, and nobody came in."
    weights = ("--model-dir", str(tiny), "--no-watermark")
    done = tts("speak", text, *weights, "-o", "x.wav", "--subtitles", "x.json", "-q")
    assert done.returncode == 0, done.stderr
    cues = json.loads((tmp_path / "x.json").read_text())["sentences"]
    assert " ".join(cue["text"] for cue in cues) == text
    seconds = soundfile.info(tmp_path / "x.wav").duration
    times = [time for cue in cues for time in (cue["start"], cue["end"])]
    assert times == sorted(times)
    assert 0 <= times[0] < times[-1] <= seconds
    assert {cue["placed"] for cue in cues} <= {"pause", "estimate"}
    assert all(word["estimate"] for cue in cues for word in cue["words"])
