"""The modules of the front end as a developer's tools see them: their types are right, and a bundler takes them."""

import json
import subprocess

import pytest

from . import front

USE = """
import {{ JobsClient }} from "{static}/jobs/client.js";
const mine = JobsClient.shared().subscribe({{ {topic}: true }});
mine.ended.then(({{ header }}) => console.log(header));
"""


@pytest.fixture
def check(tmp_path):
    """Return a function that checks the types of what it is given, and returns the complaints."""

    def complaints(*files):
        settings = json.loads((front.HERE / "tsconfig.json").read_text()) | {
            "files": [str(file) for file in files]
        }
        (tmp_path / "tsconfig.json").write_text(json.dumps(settings))
        return subprocess.run(
            [front.tool("tsc"), "-p", tmp_path], capture_output=True, text=True
        ).stdout

    return complaints


def user_of(tmp_path, topic):
    """Write a module that uses the client, with this topic."""
    module = tmp_path / "user.js"
    module.write_text(USE.format(static=front.STATIC, topic=topic))
    return module


def test_types_of_all_modules_are_right(check):
    modules = [file for file in front.SOURCES.rglob("*.js") if front.BUNDLES not in file.parents]
    assert len(modules) > 15
    assert check(*modules, front.SOURCES / "types.d.ts") == ""


def test_types_tell_a_developer_of_a_mistake(check, tmp_path):
    assert check(user_of(tmp_path, "mine")) == ""
    assert "'myne' does not exist in type 'Topic'" in check(user_of(tmp_path, "myne"))


@pytest.mark.parametrize("name", front.ENTRIES)
def test_bundles_are_made_of_the_modules_as_they_are_now(tmp_path, name):
    front.make_bundles(tmp_path)
    assert (front.BUNDLES / f"{name}.js").read_text() == (tmp_path / f"{name}.js").read_text()


def test_a_bundler_takes_the_modules_as_they_are(tmp_path):
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
    assert (
        len(list((tmp_path / "made").glob("*.js"))) > 1
    )  # what few pages need stays a part of its own
