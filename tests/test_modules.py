"""The scripts as a developer's tools see them: their types, their bundles, their one constant."""

import json
import re
import subprocess

import pytest

from jobs.conf import JobsSettings

from . import front

USE = """
import {{ JobsClient }} from "{static}/jobs/client.js";
const mine = JobsClient.shared().subscribe({{ {topic}: true }});
mine.ended.then(({{ header }}) => console.log(header));
"""


@pytest.fixture
def check(tmp_path):
    """Return a function that checks the types of files and returns the errors."""

    def errors(*files):
        settings = json.loads((front.HERE / "tsconfig.json").read_text()) | {
            "files": [str(file) for file in files]
        }
        (tmp_path / "tsconfig.json").write_text(json.dumps(settings))
        return subprocess.run(
            [front.tool("tsc"), "-p", tmp_path], capture_output=True, text=True
        ).stdout

    return errors


def user_of(tmp_path, topic):
    """Write a module that subscribes to this topic."""
    module = tmp_path / "user.js"
    module.write_text(USE.format(static=front.STATIC, topic=topic))
    return module


def test_the_types_of_all_modules_are_right(check):
    modules = [file for file in front.SOURCES.rglob("*.js") if front.BUNDLES not in file.parents]
    assert len(modules) > 15
    assert check(*modules, front.SOURCES / "types.d.ts") == ""


def test_types_report_a_developer_s_mistake(check, tmp_path):
    assert check(user_of(tmp_path, "mine")) == ""
    assert "'myne' does not exist in type 'Topic'" in check(user_of(tmp_path, "myne"))


def test_client_and_server_have_the_same_default_socket_path():
    default = re.search(r'SOCKET_PATH = "(.*)"', (front.SOURCES / "client.js").read_text())[1]
    assert default == f"/{JobsSettings().SOCKET_PATH}"


@pytest.mark.parametrize("name", front.ENTRIES)
def test_committed_bundles_match_the_modules(tmp_path, name):
    front.make_bundles(tmp_path)
    assert (front.BUNDLES / f"{name}.js").read_text() == (tmp_path / f"{name}.js").read_text()


def test_a_bundler_accepts_the_modules(tmp_path):
    bundle = [
        front.tool("esbuild"),
        user_of(tmp_path, "mine"),
        "--bundle",
        "--format=esm",
        "--splitting",
        "--minify",
    ]
    made = subprocess.run(
        [*bundle, f"--outdir={tmp_path / 'made'}"], capture_output=True, text=True
    )
    assert made.returncode == 0, made.stderr
    assert "warning" not in made.stderr
    chunks = list((tmp_path / "made").glob("*.js"))
    assert len(chunks) > 1  # a page loads the rarely needed parts later
