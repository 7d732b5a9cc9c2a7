"""The program that takes a release live: what of it needs neither root nor systemd."""

from __future__ import annotations

import gzip
import json
import os
import stat

import pytest

SETTINGS = {"SECRET_KEY": 'se"cr$et', "SHORT": "abc", "LINES": "first line\nsecond line", "PLAIN": "plain-value"}
IDS = ["0123456789ab", "0123456789ac", "0123456789ad"]


@pytest.fixture
def release(release_program, envfile, tmp_path):
    """A release with settings, three of them secret."""
    made = release_program.Release("shop", "0123456789ab")
    made.directory = tmp_path / made.name
    made.directory.mkdir()
    (made.directory / "env").write_text(envfile(SETTINGS))
    manifest = {"secrets": ["SECRET_KEY", "SHORT", "LINES"], "processes": {"worker": "x"}}
    (made.directory / "manifest.json").write_text(json.dumps(manifest))
    return made


@pytest.fixture
def deploy(release_program, tmp_path):
    """A deploy whose directories are all in a temporary one."""
    request = {"app": "shop", "id": IDS[0], "by": "ann@desk", "manifest": {"static": [], "processes": {}}, "keep": 2}
    made = release_program.Deploy(request)
    made.root, made.run_directory, made.current = tmp_path, tmp_path / "run", tmp_path / "current"
    for name in ("run", "releases", "cache", "incoming"):
        (tmp_path / name).mkdir()
    return made


def test_settings_with_text_around_them(release_program):
    text = '# a comment\nA="1"\n\nnot a line\nB="two\nlines \\"quoted\\""\n'
    assert release_program.decode_environment(text) == {"A": "1", "B": 'two\nlines "quoted"'}


def test_secrets_are_struck_out_and_plain_settings_are_not(release):
    text = release.redact('key se"cr$et, second line, plain-value')
    assert text == "key ********, ********, plain-value"


def test_very_short_secret_does_not_strike_out_half_the_log(release):
    assert release.redact("abc in a word: abcdef") == "abc in a word: abcdef"


def test_release_without_settings_has_nothing_to_strike_out(release_program, tmp_path):
    bare = release_program.Release("shop", "0123456789ab")
    bare.directory = tmp_path / "nowhere"
    assert bare.redact("text") == "text"
    assert bare.manifest == {}


def test_torn_manifest_is_no_manifest(release):
    (release.directory / "manifest.json").write_text('{"secrets": [')
    assert release.manifest == {}


def test_units_of_a_release(release):
    assert release.units() == [
        "shop-web@0123456789ab.socket",
        "shop-web@0123456789ab.service",
        "shop-worker@0123456789ab.service",
    ]


def test_link_is_replaced_and_read_back(release_program, deploy):
    assert deploy.live() is None
    for name in IDS[:2]:
        deploy.point(release_program.Release("shop", name))
        assert deploy.live().name == name
        assert os.readlink(deploy.current) == f"releases/{name}"


def test_progress_is_whole_at_every_moment(deploy):
    deploy.step("health")
    assert json.loads((deploy.run_directory / "state.json").read_text())["step"] == "health"
    assert [file.name for file in deploy.run_directory.iterdir()] == ["state.json"]


def test_versions_count_releases_that_went_live(deploy):
    deploy.remember("live")
    deploy.remember("failed", "health: 500")
    deploy.remember("live")
    assert [(line["result"], line.get("version")) for line in deploy.history()] == [
        ("live", "v1"),
        ("failed", None),
        ("live", "v2"),
    ]
    assert deploy.history()[0]["who"] == "ann@desk"


def test_history_with_a_torn_last_line(deploy):
    deploy.remember("live")
    with open(deploy.root / "history.jsonl", "a") as handle:
        handle.write('{"id": "0123')
    assert [line["version"] for line in deploy.history()] == ["v1"]
    deploy.remember("live")
    assert [line["version"] for line in deploy.history()] == ["v1", "v2"]


def test_prune_keeps_the_newest_live_releases_and_what_they_share(deploy):
    for number, name in enumerate(IDS):
        (deploy.root / "releases" / name).mkdir()
        deploy.release.name = name
        deploy.remember("live")
        (deploy.root / "cache" / f"d{number}").mkdir()
    deploy.prune()
    assert sorted(path.name for path in (deploy.root / "releases").iterdir()) == IDS[1:]


def files_below(top):
    return {str(path.relative_to(top)): stat.S_IMODE(path.lstat().st_mode) for path in top.rglob("*")}


@pytest.mark.skipif(os.geteuid() != 0, reason="gives files to root")
def test_static_files_are_public_and_compressed_and_nothing_else_is(deploy):
    part = deploy.root / "part"
    static = part / "src/shop/static"
    (static / "css").mkdir(parents=True)
    (static / "css/style.css").write_text("body{}" * 200)
    (static / "small.css").write_text("body{}")
    (static / "logo.png").write_bytes(b"\x89PNG" * 200)
    (static / ".env").write_text("SECRET=1")
    (static / "tool.py").write_text("")
    deploy.request["manifest"]["static"] = [{"url": "/static/", "path": "shop/static"}]
    deploy.publish(part)
    public = part / "public"
    assert files_below(public) == {
        "static": 0o755,
        "static/css": 0o755,
        "static/css/style.css": 0o644,
        "static/css/style.css.gz": 0o644,
        "static/small.css": 0o644,
        "static/logo.png": 0o644,
    }
    assert gzip.decompress((public / "static/css/style.css.gz").read_bytes()) == b"body{}" * 200


@pytest.mark.skipif(os.geteuid() != 0, reason="gives files to root")
def test_tree_is_for_the_app_to_read_and_for_nobody_else(release_program, tmp_path):
    top = tmp_path / "tree"
    (top / "sub").mkdir(parents=True)
    (top / "sub/file").write_text("")
    (top / "sub/program").write_text("")
    (top / "sub/program").chmod(0o755)
    outside = tmp_path / "outside"
    outside.write_text("")
    outside.chmod(0o600)
    (top / "link").symlink_to(outside)
    release_program._own(top, 1234)
    assert files_below(top) | {"link": 0} == {"sub": 0o750, "sub/file": 0o640, "sub/program": 0o750, "link": 0}
    assert {path.lstat().st_gid for path in top.rglob("*")} == {1234}
    assert (stat.S_IMODE(outside.stat().st_mode), outside.stat().st_gid) == (0o600, 0)


@pytest.mark.skipif(os.geteuid() != 0, reason="gives files to root")
def test_programs_of_a_release_run_its_own_python_and_code(deploy):
    part = deploy.root / "part"
    part.mkdir()
    deploy.request["manifest"].update(
        web="exec gunicorn wsgi:app",
        processes={"worker": "exec python work.py"},
        migrate="flask db upgrade",
        roots=[".", "src"],
    )
    deploy.write_programs(part, 1234)
    assert files_below(part / "bin") == dict.fromkeys(("web", "worker", "release", "gunicorn"), 0o750)
    web = (part / "bin/web").read_text()
    home = f"/srv/shop/releases/{IDS[0]}"
    assert f"export PATH={home}/bin:{home}/venv/bin:" in web
    assert f'PYTHONPATH="{home}/src:{home}/src/src' in web
    assert web.endswith(f"cd {home}/src || exit 1\nexec gunicorn wsgi:app\n")


def test_archive_that_was_damaged_on_the_way_is_refused(release_program, deploy):
    (deploy.root / "incoming/source.tar.gz").write_bytes(b"damaged")
    deploy.request["archives"] = {"source": {"name": "source.tar.gz", "sha256": "0" * 64}}
    with pytest.raises(release_program.Failure, match="is not what the control node sent"):
        deploy.extract("source", deploy.root / "part")


def test_units_of_an_app_whose_name_begins_alike_are_left_alone(release_program, tmp_path):
    for app in ("shop", "shop-web"):
        (tmp_path / f"{app}-web@.service").write_text(f"[Service]\nExecStart=/srv/{app}/releases/%i/bin/web\n")
    assert release_program.belongs(f"shop-web@{IDS[0]}.service", "shop", tmp_path)
    assert not release_program.belongs(f"shop-web-web@{IDS[0]}.service", "shop", tmp_path)
    assert not release_program.belongs(f"shop-gone@{IDS[0]}.service", "shop", tmp_path)
