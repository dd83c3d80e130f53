"""Fixtures that tests of the command line share."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def cloning(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`tiny` with upstream's parts that make a voice of a recording, which come in one size."""
    from make_checkpoint import voice_side
    from safetensors.torch import load_file, save_file

    s3gen = "s3gen_meanflow.safetensors"
    folder = tmp_path_factory.mktemp("cloning")
    for file in tiny.iterdir():
        if file.name != s3gen:
            (folder / file.name).symlink_to(file)
    save_file(load_file(tiny / s3gen) | voice_side(7), folder / s3gen)
    return folder
