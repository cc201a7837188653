"""The front-end modules under a developer's tools: a type checker and a bundler."""

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
    """Return a function that type-checks files, and returns the complaints."""

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


def test_all_modules_pass_the_type_checker(check):
    modules = [*sorted((front.STATIC / "jobs").glob("*.js")), front.STATIC / "jobs" / "types.d.ts"]
    assert len(modules) > 15
    assert check(*modules) == ""


def test_types_point_out_a_developer_s_mistake(check, tmp_path):
    assert check(user_of(tmp_path, "mine")) == ""
    assert "'myne' does not exist in type 'Topic'" in check(user_of(tmp_path, "myne"))


@pytest.mark.parametrize("name", front.ENTRIES)
def test_bundles_match_the_current_modules(tmp_path, name):
    front.make_bundles(tmp_path)
    assert (front.BUNDLES / f"{name}.js").read_text() == (tmp_path / f"{name}.js").read_text()


def test_a_bundler_accepts_the_modules_unchanged(tmp_path):
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
    assert len(chunks) > 1  # parts that few pages need are loaded separately
