"""The settings of a cluster: what the environment may say, and that docs/cluster.md lists it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.harness import PATIENCE, ROOT, clean_environment
from tts_cli.engines.options import declared
from tts_cli.errors import UsageError
from tts_cli.server.cluster_settings import ClusterSettings, choose_engine, read_settings

CHATTERBOX = {"TTS_CLUSTER_ENGINE": "chatterbox"}


def test_all_have_defaults_and_empty_variables_are_none() -> None:
    assert read_settings({}) == read_settings({"TTS_CLUSTER_LISTENERS": ""}) == ClusterSettings()


def test_each_is_read_as_its_kind() -> None:
    settings = read_settings(
        {
            "TTS_CLUSTER_VOICE": "heart",
            "TTS_SERVER_KEY": "secret",
            "TTS_CLUSTER_LISTENERS": "3",
            "TTS_CLUSTER_GPUS": "0.25",
            "TTS_CLUSTER_ORIGINS": "https://a.example, http://b.example:80",
            "TTS_CLUSTER_OPTIONS": '{"seed": 7}',
        }
    )
    assert (settings.voice, settings.token, settings.listeners, settings.gpus) == ("heart", "secret", 3, 0.25)
    assert settings.sites == {"https://a.example", "http://b.example"}
    assert choose_engine(settings).defaults == {"seed": 7}


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"TTS_CLUSTER_ENGINE": "nobody"}, "no engine called 'nobody'"),
        ({"TTS_CLUSTER_ENGINE": "auto"}, "name an engine"),
        ({"TTS_CLUSTER_VOICE": "nobody"}, "TTS_CLUSTER_VOICE: there is no voice 'nobody'"),
        ({"TTS_CLUSTER_OPTIONS": "chunk=25"}, "TTS_CLUSTER_OPTIONS is no JSON object"),
        ({"TTS_CLUSTER_OPTIONS": "[" * 100_000}, "TTS_CLUSTER_OPTIONS is no JSON object"),
        ({"TTS_CLUSTER_OPTIONS": '{"chunk": 0}'}, "chunk cannot be 0"),
        ({"TTS_CLUSTER_OPTIONS": '{"precision": "int8"}'}, "no option --precision"),
        ({"TTS_SERVER_KEY": "two words"}, "no spaces"),
        ({"TTS_CLUSTER_ORIGINS": "https://a.example, *"}, "'*' is no site"),
        ({"TTS_CLUSTER_ALLOW_VOICES": "yes"}, "TTS_CLUSTER_ALLOW_VOICES cannot be 'yes'; choose one of: 0, 1"),
        ({"TTS_CLUSTER_ALLOW_VOICES": "1"}, "own voices only"),
        ({"TTS_CLUSTER_LISTENERS": "0"}, "TTS_CLUSTER_LISTENERS cannot be 0; choose a whole number from 1 to 1000"),
        ({"TTS_CLUSTER_LISTENERS": "many"}, "TTS_CLUSTER_LISTENERS cannot be 'many'"),
        ({"TTS_CLUSTER_GPUS": "nan"}, "TTS_CLUSTER_GPUS cannot be nan"),
        ({"TTS_CLUSTER_GPUS": "one"}, "TTS_CLUSTER_GPUS cannot be 'one'"),
        ({"TTS_CLUSTER_GPUS": "1.5"}, "a whole number, or a share below 1"),
        ({"TTS_CLUSTER_MIN_REPLICAS": "2"}, "TTS_CLUSTER_MAX_REPLICAS cannot be 1"),
    ],
    ids=lambda value: next(iter(value.items()))[0] if isinstance(value, dict) else "",
)
def test_what_cannot_be_is_one_line(environment: dict[str, str], words: str) -> None:
    with pytest.raises(UsageError) as refused:
        read_settings(environment)
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


def test_chatterbox_computes_with_as_many_threads_as_a_replica_has_cores() -> None:
    def threads(**environment: str) -> object:
        return getattr(choose_engine(read_settings(CHATTERBOX | environment)).settings, "threads")  # noqa: B009

    assert threads() == 1
    assert threads(TTS_CLUSTER_CPUS="4") == 4
    assert threads(TTS_CLUSTER_CPUS="4", TTS_CLUSTER_OPTIONS='{"threads": 2}') == 2


def test_folders_go_to_all_replicas_as_whole_paths(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    settings = read_settings({"TTS_VOICES_DIR": "voices", "TTS_MODEL_DIR": "/models"})
    assert settings.folders == {"TTS_VOICES_DIR": str(tmp_path / "voices"), "TTS_MODEL_DIR": "/models"}
    chosen = choose_engine(read_settings(CHATTERBOX | {"TTS_CLUSTER_OPTIONS": '{"model_dir": "/models"}'}))
    assert vars_of(chosen.settings)["model_dir"] == Path("/models")


def vars_of(settings: object) -> dict[str, object]:
    from tts_cli.engines.options import values

    return values(settings)


def test_the_page_lists_all_with_their_defaults() -> None:
    rows = re.findall(r"^\| `(TTS_\w+)` \| (.*?) \| (.*?) \|$", (ROOT / "docs/cluster.md").read_text(), re.MULTILINE)
    expected = [
        (known.option.variable, shown(known.default), known.option.help) for known in declared(ClusterSettings).values()
    ]
    assert rows == expected


def shown(default: object) -> str:
    if isinstance(default, bool):
        return f"`{int(default)}`"
    return f"`{default:g}`" if isinstance(default, int | float) else f"`{default}`" if default else ""


@pytest.mark.skipif(find_spec("ray") is None, reason="needs pip install '.[cluster]'")
@pytest.mark.parametrize(
    ("environment", "arguments", "words"),
    [
        ({"TTS_CLUSTER_QUEUE": "-1"}, [], "TTS_CLUSTER_QUEUE cannot be '-1'"),
        ({"RAY_SERVE_DEFAULT_HTTP_HOST": "0.0.0.0"}, [], "other machines could reach this server at 0.0.0.0"),
        ({}, ["voice=heart"], "there is no argument 'voice'"),
    ],
    ids=["setting", "host", "argument"],
)
def test_serve_run_says_in_a_line_what_is_wrong(environment: dict[str, str], arguments: list[str], words: str) -> None:
    program = "from ray.serve.scripts import cli; cli()"
    variables = {key: value for key, value in clean_environment().items() if key != "PYTHONWARNINGS"}
    done = subprocess.run(
        [sys.executable, "-c", program, "run", "tts_cli.server.cluster:app", *arguments],
        env=variables | environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr + done.stdout
    assert words in done.stderr.splitlines()[-1]


@pytest.mark.skipif(find_spec("ray") is None, reason="needs pip install '.[cluster]'")
def test_proxies_that_serve_run_starts_find_their_layer() -> None:
    program = (
        "import os; from tts_cli.server.cluster import app; from ray.serve._private.utils import "
        "call_function_from_import_path as call; app({}); "
        "print(call(os.environ['RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH']))"
    )
    variables = {key: value for key, value in clean_environment().items() if key != "PYTHONWARNINGS"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=variables, capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    assert "Telling" in done.stdout


@pytest.mark.skipif(find_spec("ray") is None, reason="needs pip install '.[cluster]'")
def test_the_package_imports_no_ray() -> None:
    program = "import sys, tts_cli, tts_cli.cli, tts_cli.server.running; print('ray' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], env=dict(os.environ), capture_output=True, timeout=PATIENCE, check=True
    )
    assert done.stdout == b"False\n"
