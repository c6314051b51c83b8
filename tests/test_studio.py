"""The studio's server: what it answers, what it refuses, and what is left when it ends."""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
import zipfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from synth.cli import cli
from synth.errors import UsageError
from synth.images import load_image
from synth.pipeline import Generator

for package in ("fastapi", "uvicorn"):
    pytest.importorskip(package, reason="needs the extra studio")
httpx = pytest.importorskip("httpx", reason="needs httpx")

import uvicorn  # noqa: E402

from synth.studio.guard import MAX_PHOTO_BYTES  # noqa: E402
from synth.studio.photos import PhotoStore, open_photo, safe_name  # noqa: E402
from synth.studio.serve import listen  # noqa: E402
from synth.studio.server import create_app  # noqa: E402
from synth.studio.session import Session  # noqa: E402
from synth.studio.strokes import waypoints  # noqa: E402

TOKEN = "token-of-this-run"


@contextmanager
def running(generator: Generator):
    """A session with the server in front of it, in this process: session, client."""
    session, wire = Session(generator), listen(0)
    port = wire.getsockname()[1]
    app = create_app(session, port, TOKEN)
    server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_level="error", ws="none"))
    thread = threading.Thread(target=server.run, args=([wire],), daemon=True)
    thread.start()
    home = f"http://127.0.0.1:{port}"
    try:
        with httpx.Client(base_url=home, headers={"x-studio-token": TOKEN}, timeout=60) as client:
            yield session, client
    finally:
        server.should_exit = True
        thread.join(10)
        wire.close()
        session.close()


@pytest.fixture(scope="module")
def pair():
    with running(Generator()) as made:
        yield made


@pytest.fixture(scope="module")
def session(pair):
    return pair[0]


@pytest.fixture(scope="module")
def client(pair):
    return pair[1]


@pytest.fixture(scope="module")
def photo(client, samples):
    data = (samples / "sample_1.jpg").read_bytes()
    answer = client.put("/api/photos", params={"name": "me.jpg"}, content=data)
    assert answer.status_code == 200, answer.text
    return answer.json()


def picture(client, **wish) -> np.ndarray:
    answer = client.post("/api/frame", json=wish)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "image/jpeg"
    return load_image(answer.content).pixels


def message(answer) -> str:
    text = answer.json()["message"]
    assert "\n" not in text and text
    return text


def raw(client, method: str, path: str, headers: str) -> bytes:
    """The answer to the head of a request, written by hand."""
    port = client.base_url.port
    head = f"{method} {path} HTTP/1.1\nHost: 127.0.0.1:{port}\nX-Studio-Token: {TOKEN}\n{headers}\n"
    with socket.create_connection(("127.0.0.1", port), timeout=30) as wire:
        wire.sendall(head.replace("\n", "\r\n").encode())
        answer = b""
        while b"}" not in answer and (more := wire.recv(65536)):
            answer += more
        return answer


def finished(client, job: dict) -> dict:
    end = time.monotonic() + 120
    while job["state"] in ("waiting", "working"):
        assert time.monotonic() < end, job
        time.sleep(0.02)
        job = client.get(f"/api/exports/{job['key']}").json()
    return job


# ------------------------------------------------------------------------------ photos
def test_a_photo_is_fitted_and_follows_the_dot(client, photo):
    assert photo["preview"] == [512, 512] and photo["width"] == 768 and photo["name"] == "me.jpg"
    neutral = picture(client, photo=photo["key"], valence=0, arousal=0)
    smile = picture(client, photo=photo["key"], valence=0.8, arousal=0.2)
    other = picture(client, photo=photo["key"], valence=-0.7, arousal=-0.4)
    assert neutral.shape == smile.shape == (512, 512, 3)
    assert np.abs(neutral.astype(int) - smile).max() > 60
    assert np.abs(other.astype(int) - smile).max() > 60
    assert (picture(client, photo=photo["key"], valence=0.8, arousal=0.2) == smile).all()


def test_expressions_and_styles(client, photo):
    key = photo["key"]
    full = picture(client, photo=key, expression="happiness")
    half = picture(client, photo=key, expression="happiness", intensity=0.4)
    person = picture(client, photo=key, expression="happiness", style=7)
    assert len({p.tobytes() for p in (full, half, person)}) == 3
    assert (picture(client, photo=key, expression="happiness", style=0) == full).all()


def test_preview_and_full_picture_show_the_same_face(session, samples):
    """Same fit: the preview is the full picture, scaled down."""
    from synth.images import resize
    from synth.targets import Target
    from synth.types import VA

    generator, file = session.generator, samples / "sample_2.jpg"
    photo = open_photo(generator, file.read_bytes(), file.name)
    target = Target(VA(0.7, 0.3))
    small = generator.draw(photo.preview, target).image.astype(int)
    large = resize(generator.generate(str(file), target).image, 512, 512)
    assert np.abs(small - large).mean() < 1.0


def test_a_small_face_in_a_wide_scene_is_shown_large(session, samples):
    portrait = load_image(samples / "sample_1.jpg").pixels
    scene = np.full((1500, 2400, 3), 190, np.uint8)
    scene[300:1068, 1200:1968] = portrait
    encoded = io.BytesIO()
    from PIL import Image

    Image.fromarray(scene).save(encoded, "PNG")
    photo = open_photo(session.generator, encoded.getvalue(), "scene.png")
    assert photo.rig.inter_ocular > 90  # the whole scene at 512 px would leave 38
    assert photo.size == (2400, 1500)


def test_the_mesh_lies_on_the_face(client, session, photo):
    edges = np.array(photo["edges"]).reshape(-1, 2)
    points = {}
    for valence in (0.0, 0.9):
        answer = client.post(
            "/api/mesh", json={"photo": photo["key"], "valence": valence, "arousal": 0.1}
        )
        points[valence] = np.frombuffer(answer.content, "<f4").reshape(-1, 2)
    assert edges.min() >= 0 and edges.max() < len(points[0.0])
    rig = session.photos.get(photo["key"]).rig
    model = rig.model
    seen = points[0.0][model.faces[model.landmark_faces]] * model.landmark_bary[:, :, None]
    # Eye corners and mouth of the mesh on the detected ones, but for the small arousal.
    far = np.linalg.norm(seen.sum(1) - rig.landmarks.points, axis=1)[36:]
    assert far.mean() < 0.05 * rig.inter_ocular
    assert np.abs(points[0.9] - points[0.0]).max() > 3


def test_samples_are_offered_and_opened(client):
    info = client.get("/api/info").json()
    assert len(info["samples"]) == 6
    name = info["samples"][2]["name"]
    assert client.get(f"/api/samples/{name}").headers["content-type"] == "image/jpeg"
    opened = client.post("/api/photos/sample", json={"name": name}).json()
    assert opened["sample"] and opened["name"] == name
    assert client.get(f"/api/photos/{opened['key']}").json() == opened
    for other in ("astronaut.png", "not_neutral/astronaut.png", ["sample_1.jpg"], None):
        answer = client.post("/api/photos/sample", json={"name": other})
        assert answer.status_code == 400 and "sample" in message(answer)


# ------------------------------------------------------------------------- bad uploads
def bomb() -> bytes:
    """A PNG of a few kilobytes that claims 40000 x 40000 pixels."""
    import struct
    import zlib

    def chunk(kind: bytes, body: bytes) -> bytes:
        crc = struct.pack(">I", zlib.crc32(kind + body))
        return struct.pack(">I", len(body)) + kind + body + crc

    header = struct.pack(">IIBBBBB", 40000, 40000, 8, 2, 0, 0, 0)
    body = zlib.compress(bytes(100_000))
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    return start + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def no_face() -> bytes:
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(np.full((300, 300, 3), 120, np.uint8)).save(out, "PNG")
    return out.getvalue()


@pytest.mark.parametrize(
    "name, data, status, says",
    [
        ("notes.jpg", lambda: b"just a text\n", 422, "notes.jpg: expected a whole JPEG"),
        ("empty.jpg", lambda: b"", 422, "0 bytes"),
        ("bomb.png", bomb, 422, "megapixels"),
        ("grey.png", no_face, 422, "face"),
        ("../../etc/passwd", lambda: b"x", 422, "passwd: expected a whole JPEG"),
    ],
)
def test_a_bad_photo_gets_one_line_and_changes_nothing(
    client, session, photo, name, data, status, says
):
    before = list(session.photos._photos)
    answer = client.put("/api/photos", params={"name": name}, content=data())
    assert answer.status_code == status and says in message(answer)
    assert list(session.photos._photos) == before
    picture(client, photo=photo["key"], valence=0.2, arousal=0.1)


def test_a_large_photo_is_refused_by_its_announced_size(client):
    answer = raw(client, "PUT", "/api/photos", "Content-Length: 200000000\n")
    assert b" 413 " in answer  # not a byte of it was sent
    assert b"file: expected at most 30 MB, got 200 MB; save it smaller" in answer


def test_a_large_photo_is_refused_while_it_comes_in(client):
    sent = 0

    def pieces():
        nonlocal sent
        while sent < 2 * MAX_PHOTO_BYTES:
            yield bytes(1 << 20)
            sent += 1 << 20

    try:
        answer = client.put("/api/photos", content=pieces())
    except httpx.TransportError:  # closed while still sending
        pass
    else:
        assert answer.status_code == 413 and "30 MB" in message(answer)
    assert sent <= 2 * MAX_PHOTO_BYTES + (1 << 20)


@pytest.mark.parametrize(
    "wish, says",
    [
        ({"valence": 2, "arousal": 0}, "valence"),
        ({"valence": 0.9, "arousal": 0.9}, "unit disc"),
        ({"valence": float("nan"), "arousal": 0}, "valence"),
        ({"valence": "0.1", "arousal": 0}, "valence"),
        ({"valence": True, "arousal": 0}, "valence"),
        ({"arousal": 0}, "valence"),
        ({"expression": "hunger"}, "hunger"),
        ({"expression": "anger", "intensity": 3}, "intensity"),
        ({"expression": ["anger"]}, "expression"),
        ({"valence": 0, "arousal": 0, "style": -1}, "style"),
        ({"valence": 0, "arousal": 0, "style": 1.5}, "style"),
        ({"valence": 0, "arousal": 0, "photo": "nowhere"}, "photo"),
        ({"valence": 0, "arousal": 0, "photo": ["x"]}, "photo"),
        ({"path": "nowhere", "frame": 0}, "path"),
        ({"path": {}, "frame": 0}, "path"),
    ],
)
def test_bad_wishes_are_named(client, photo, wish, says):
    body = json.dumps({"photo": photo["key"], **wish})
    answer = client.post("/api/frame", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400 and says in message(answer)


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"[" * 100_000, b'"x"', b"\xff"])
def test_a_body_that_is_no_object(client, body):
    answer = client.post("/api/frame", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400 and "body" in message(answer)


# --------------------------------------------------------------------------- who may ask
METHODS = ("GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD", "PATCH")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("path", ["/", "/api/info", "/api/photos", "/static/app.js", "/api/frame"])
def test_others_are_refused(client, method, path):
    port = client.base_url.port
    for headers in (
        {"host": "evil.example"},
        {"host": f"evil.example:{port}"},
        {"host": "127.0.0.1:9"},
        {"host": "127.0.0.1"},
        {"host": f"127.0.0.1:{port}.evil.example"},
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": f"https://127.0.0.1:{port}"},
        {"origin": "http://127.0.0.1:9"},
    ):
        answer = client.request(method, path, headers=headers)
        assert answer.status_code == 403, headers
        assert not [name for name in answer.headers if name.startswith("access-control")]


def test_this_page_is_served(client):
    for host in ("127.0.0.1", "localhost"):
        name = f"{host}:{client.base_url.port}"
        headers = {"host": name, "origin": f"http://{name}"}
        assert client.get("/api/info", headers=headers).status_code == 200


def test_calls_need_the_token_of_this_run(client):
    for token in ("", "guess"):
        for method, path in (("GET", "/api/info"), ("POST", "/api/frame"), ("PUT", "/api/photos"),
                             ("DELETE", "/api/exports/x")):  # fmt: skip
            answer = client.request(method, path, headers={"x-studio-token": token})
            assert answer.status_code == 403 and "token" in message(answer)


def test_other_sites_may_not_embed_even_what_is_open(client):
    answer = client.get("/api/samples/sample_1.jpg", headers={"sec-fetch-site": "cross-site"})
    assert answer.status_code == 403


def test_a_form_of_another_site_cannot_send_json(client, photo):
    answer = client.post("/api/frame", content=b"{}", headers={"content-type": "text/plain"})
    assert answer.status_code == 400 and "content-type" in message(answer)


def test_every_answer_has_the_headers(client, photo):
    answers = [
        client.get("/"),
        client.get("/static/style.css"),
        client.get("/api/info"),
        client.get("/nothing"),
        client.get("/", headers={"host": "evil.example"}),
        client.post("/api/frame", json={"photo": photo["key"], "valence": 0, "arousal": 0}),
    ]
    for answer in answers:
        assert answer.headers["content-security-policy"].startswith("default-src 'self'")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert "access-control-allow-origin" not in answer.headers
    assert TOKEN in answers[0].text and "{{" not in answers[0].text


@pytest.mark.parametrize(
    "path",
    [
        "/static/../server.py",
        "/static/%2e%2e/server.py",
        "/static/..%2fserver.py",
        "/static/index.html",
        "/static//etc/passwd",
        "/api/samples/..%2f..%2fregistry.toml",
        "/api/samples/astronaut.png",
        "/docs",
        "/openapi.json",
        "/api/nothing",
    ],
)
def test_nothing_else_is_served(client, path):
    answer = client.get(path)
    assert answer.status_code == 404 and message(answer)


def test_the_page_asks_for_nothing_from_elsewhere(root):
    static = root / "synth/studio/static"
    from synth.studio.server import FILES

    assert {f.name for f in static.iterdir()} == {*FILES, "index.html"}
    for file in static.iterdir():
        text = file.read_text("utf-8").replace("http://www.w3.org/", "")
        assert not re.search(r"https?://|//cdn|@import|@font-face", text), file.name
        assert " style=" not in text and "onclick" not in text, file.name


def test_an_unexpected_error_is_one_line_without_a_traceback():
    class Broken(Generator):
        def draw(self, face, target):
            raise RuntimeError("no\nsuch luck")

    with running(Broken()) as (_, client):
        answer = client.post("/api/photos/sample", json={"name": "sample_1.jpg"})
        assert answer.status_code == 500 and "no such luck" in message(answer)
        assert answer.headers["x-content-type-options"] == "nosniff"


# -------------------------------------------------------------------------------- paths
def drawn(seconds=2.0, rate=60, radius=0.6) -> list[list[float]]:
    times = np.arange(int(seconds * rate) + 1) / rate
    angle = 2 * np.pi * times / seconds
    points = [times, radius * np.cos(angle), radius * np.sin(angle)]
    return np.stack(points, axis=1).tolist()


def test_a_drawn_line_becomes_a_path(client, photo):
    data = {"photo": photo["key"], "points": drawn(4.0), "fps": 10}
    path = client.post("/api/paths", json=data).json()
    va = np.array(path["va"])
    assert len(va) == path["frames"] and path["fps"] == 10
    assert np.abs(np.hypot(*va.T) - 0.6).max() < 0.02
    assert path["slowed"] >= 1 and path["frames"] >= 40
    assert "--path waypoints.csv" in path["command"]
    frames = [picture(client, path=path["key"], frame=i) for i in (0, path["frames"] // 2)]
    assert np.abs(frames[0].astype(int) - frames[1]).max() > 40


def test_a_fast_line_is_slowed_and_says_so(client, photo):
    data = {"photo": photo["key"], "points": drawn(0.4, radius=0.9)}
    path = client.post("/api/paths", json=data).json()
    assert path["slowed"] > 1.5
    assert path["frames"] / path["fps"] > 0.6


def test_a_path_is_stretched(client, photo):
    data = {"photo": photo["key"], "points": drawn(2.0, radius=0.3), "seconds": 8.0, "fps": 10}
    path = client.post("/api/paths", json=data).json()
    assert path["frames"] / path["fps"] == pytest.approx(8.0, abs=0.2)
    assert "--seconds 8" in path["command"]


@pytest.mark.parametrize("named", ["circle:0.5", "onset-apex-offset:0.8,0.2", "happiness:0.7"])
def test_named_paths(client, photo, named):
    path = client.post("/api/paths", json={"photo": photo["key"], "named": named, "fps": 5}).json()
    assert path["frames"] > 5 and not path["csv"]
    assert f"--path {named}" in path["command"].replace("'", "")


@pytest.mark.parametrize(
    "data, says",
    [
        ({"points": []}, "points"),
        ({"points": [[0, 0, 0]]}, "points"),
        ({"points": [[0, 0, 0], [1, float("nan"), 0]]}, "points"),
        ({"points": [[0, 0, 0], [1, 0.9, 0.9]]}, "disc"),
        ({"points": [[0, 0, 0], [2, 0.1, 0], [1, 0.2, 0]]}, "decrease"),
        ({"points": [[0, 0, 0], ["a", 0, 0]]}, "points"),
        ({"points": [[0, 0, 0], {}]}, "points"),
        ({"points": [[i, 0.1, 0] for i in range(6000)]}, "5000"),
        ({"points": "circle"}, "points"),
        ({}, "points"),
        ({"named": "circle:3"}, "3"),
        ({"named": "/etc/passwd"}, "named path"),
        ({"named": "secret.csv"}, "named path"),
        ({"named": "circle:0.5", "fps": 0}, "fps"),
        ({"named": "circle:0.5", "fps": 60, "seconds": 60}, "900"),
        ({"named": "circle:0.5", "seconds": 1e9}, "seconds"),
        ({"named": "circle:0.5", "blinks": 1}, "blinks"),
    ],
)
def test_bad_paths_are_named(client, photo, data, says):
    body = json.dumps({"photo": photo["key"], **data})
    answer = client.post("/api/paths", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400 and says in message(answer)


def test_frames_outside_a_path_are_refused(client, photo):
    data = {"photo": photo["key"], "named": "circle:0.3", "fps": 5}
    path = client.post("/api/paths", json=data).json()
    for frame in (-1, path["frames"], "0", None, True):
        answer = client.post("/api/frame", json={"path": path["key"], "frame": frame})
        assert answer.status_code == 400 and "frame" in message(answer)


def test_blinks_and_head_motion_are_seen(client, photo):
    data = {"photo": photo["key"], "named": "circle:0.3", "fps": 5}
    plain, lively = (
        client.post("/api/paths", json={**data, "head_motion": on, "blinks": on}).json()
        for on in (False, True)
    )
    assert "--blinks --head-motion" in lively["command"]
    assert plain["va"] == lively["va"]
    pairs = [
        [picture(client, path=path["key"], frame=frame) for path in (plain, lively)]
        for frame in (5, 12)
    ]
    assert any((a != b).any() for a, b in pairs)


def test_waypoints_keep_shape_and_timing():
    times = np.linspace(0, 3, 300)
    va = np.stack((0.5 * np.sin(times * 2), 0.4 * np.cos(times)), axis=1)
    found = waypoints(np.column_stack((times + 17, va)))
    assert found[0, 0] == 0 and found[-1, 0] == pytest.approx(3)
    assert (np.diff(found[:, 0]) > 0).all() and len(found) < 60
    back = np.stack([np.interp(found[:, 0], times, column) for column in va.T], axis=1)
    assert np.abs(back - found[:, 1:]).max() < 0.01
    assert found[[0, -1], 1:] == pytest.approx(va[[0, -1]], abs=1e-4)


def test_waypoints_forget_tremor():
    rng = np.random.default_rng(0)
    times = np.linspace(0, 2, 240)
    line = np.stack((times / 4, times / 8), axis=1)
    shaking = line + rng.normal(0, 0.004, line.shape)
    found = waypoints(np.column_stack((times, shaking)))
    along = np.stack([np.interp(found[:, 0], times, column) for column in line.T], axis=1)
    assert np.abs(along - found[:, 1:])[1:-1].max() < 0.012
    assert len(found) < 25


def test_waypoints_on_the_rim_stay_in_the_disc():
    angle = np.linspace(0, 2, 200)
    rim = np.stack((angle, np.cos(angle), np.sin(angle)), axis=1)
    assert np.hypot(*waypoints(rim)[:, 1:].T).max() <= 1


# ------------------------------------------------------------------------------ exports
def run_command(command: str, folder: Path, monkeypatch) -> Path:
    """Run the command line that the page shows, in `folder`; its output folder."""
    monkeypatch.chdir(folder)
    for part in command.split(" && "):
        words = shlex.split(part)
        assert words[0] == "synth"
        result = CliRunner().invoke(cli, words[1:], prog_name="synth")
        assert result.exit_code == 0, result.output
    return folder / "out"


def export(client, **wish) -> tuple[dict, bytes]:
    job = finished(client, client.post("/api/exports", json=wish).json())
    assert job["state"] == "done", job
    answer = client.get(f"/api/files/{job['key']}", headers={"x-studio-token": ""})
    assert answer.status_code == 200
    assert f'attachment; filename="{job["file"]}"' in answer.headers["content-disposition"]
    return job, answer.content


@pytest.mark.parametrize(
    "wish",
    [
        {"valence": -0.51, "arousal": 0.33},
        {"expression": "surprise", "intensity": 0.35},
        {"valence": 0.7, "arousal": 0.2, "style": 11},
    ],
    ids=str,
)
def test_a_picture_is_what_its_command_makes(client, photo, samples, tmp_path, monkeypatch, wish):
    data = {"photo": photo["key"], **wish}
    answer = client.post("/api/frame", json=data)
    command = json.loads(answer.headers["x-studio-face"])["command"]
    job, content = export(client, kind="picture", **data)
    (tmp_path / "me.jpg").write_bytes((samples / "sample_1.jpg").read_bytes())
    made = list((run_command(command, tmp_path, monkeypatch) / "images").iterdir())
    assert [file.read_bytes() for file in made] == [content]
    assert [file.name for file in made] == [job["file"]]


def test_frames_and_video_are_what_the_command_makes(client, photo, samples, tmp_path, monkeypatch):
    data = {"photo": photo["key"], "points": drawn(2.0, radius=0.4), "fps": 6, "style": 3}
    path = client.post("/api/paths", json=data).json()
    _, zipped = export(client, kind="frames", path=path["key"])
    _, video = export(client, kind="video", path=path["key"])
    (tmp_path / "me.jpg").write_bytes((samples / "sample_1.jpg").read_bytes())
    (tmp_path / "waypoints.csv").write_text(path["csv"])
    out = run_command(path["command"], tmp_path, monkeypatch)
    with zipfile.ZipFile(io.BytesIO(zipped)) as archive:
        names = set(archive.namelist())
        assert archive.read("waypoints.csv").decode() == path["csv"]
        assert archive.read("command.txt").decode().strip() == path["command"]
        frames = {p.relative_to(out).as_posix() for p in (out / "images").rglob("*.png")}
        assert len(frames) == path["frames"]
        assert names == frames | {
            "metadata.csv",
            "provenance.jsonl",
            "waypoints.csv",
            "command.txt",
        }
        for name in (*frames, "metadata.csv", "provenance.jsonl"):
            assert archive.read(name) == (out / name).read_bytes(), name
    assert video == next((out / "videos").rglob("*.mp4")).read_bytes()


def test_the_command_of_a_sample_fetches_it_first(client, tmp_path, monkeypatch):
    photo = client.post("/api/photos/sample", json={"name": "sample_4.jpg"}).json()
    answer = client.post("/api/frame", json={"photo": photo["key"], "expression": "fear"})
    command = json.loads(answer.headers["x-studio-face"])["command"]
    out = run_command(command, tmp_path, monkeypatch)
    assert len(list((out / "images").iterdir())) == 1


def test_bad_exports_are_named(client, photo):
    for wish, says in (
        ({"kind": "poster"}, "kind"),
        ({"kind": ["video"]}, "kind"),
        ({"kind": "video", "path": "nowhere"}, "path"),
        ({"kind": "picture", "photo": photo["key"], "valence": 4, "arousal": 0}, "valence"),
    ):
        answer = client.post("/api/exports", json=wish)
        assert answer.status_code == 400 and says in message(answer)
    for method, path in (("GET", "exports"), ("DELETE", "exports"), ("GET", "files")):
        answer = client.request(method, f"/api/{path}/nowhere")
        assert answer.status_code == 400 and "export" in message(answer)


class Slow(Generator):
    """Full-size pictures take their time; previews do not."""

    def draw(self, face, target):
        if face.rig.image.width > 512:
            time.sleep(0.2)
        return super().draw(face, target)


def test_the_page_lives_on_while_an_export_runs_and_cancel_ends_it():
    with running(Slow()) as (session, client):
        photo = client.post("/api/photos/sample", json={"name": "sample_1.jpg"}).json()
        data = {"photo": photo["key"], "named": "circle:0.5", "fps": 30}
        path = client.post("/api/paths", json=data).json()
        job = client.post("/api/exports", json={"kind": "video", "path": path["key"]}).json()
        while job["state"] == "waiting" or not job["done"]:
            job = client.get(f"/api/exports/{job['key']}").json()
        picture(client, photo=photo["key"], valence=0.3, arousal=0.3)
        picture(client, path=path["key"], frame=3)
        job = client.get(f"/api/exports/{job['key']}").json()
        assert job["state"] == "working" and job["done"] < job["total"]
        early = client.get(f"/api/files/{job['key']}")
        assert early.status_code == 400 and "finished" in message(early)
        client.delete(f"/api/exports/{job['key']}")
        job = finished(client, job)
        assert job["state"] == "cancelled" and job["done"] < job["total"]
        assert not list(Path(session._folder.name).iterdir())


def test_a_failed_export_says_why(session, client, photo, monkeypatch):
    def broken(*_, **__):
        raise OSError("disk full")

    monkeypatch.setattr("synth.studio.exports.generate_files", broken)
    wish = {"kind": "picture", "photo": photo["key"], "valence": 0.1, "arousal": 0.1}
    job = finished(client, client.post("/api/exports", json=wish).json())
    assert job["state"] == "failed" and "disk full" in job["message"]


def test_photos_and_files_are_forgotten(session, samples):
    store = PhotoStore(kept=2)
    photo = open_photo(session.generator, (samples / "sample_1.jpg").read_bytes(), "a.jpg")
    from dataclasses import replace

    first, second, third = (replace(photo, key=key) for key in "abc")
    store.add(first), store.add(second)
    store.get("a")
    store.add(third)  # b was used longest ago
    assert store.get("a") is first and store.get("c") is third
    with pytest.raises(UsageError, match="no longer"):
        store.get("b")


def test_nothing_is_left_in_the_temporary_folder():
    with running(Generator()) as (session, client):
        folder = Path(session._folder.name)
        photo = client.post("/api/photos/sample", json={"name": "sample_1.jpg"}).json()
        export(client, kind="picture", photo=photo["key"], valence=0.2, arousal=0.2)
        assert folder.is_dir() and folder.stat().st_mode & 0o077 == 0
    assert not folder.exists()


def test_names_are_made_safe():
    assert safe_name("../../etc/passwd") == "passwd"
    assert safe_name("C:\\photos\\me.jpg") == "me.jpg"
    assert safe_name("a\x00b\n.jpg") == "ab.jpg"
    assert safe_name("") == safe_name("..") == "photo"
    assert len(safe_name("x" * 500 + ".jpg")) <= 100


# ------------------------------------------------------------------------- the command
def start(tmp_path: Path, *args: str) -> tuple[subprocess.Popen, str, int]:
    """`synth studio` on a free port: process, token, port."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "synth.cli", "studio", "--port", "0", "--no-browser", *args],
        env=os.environ | {"TMPDIR": str(temporary)},
        stderr=subprocess.PIPE,
        text=True,
    )
    line = process.stderr.readline()
    port = int(re.search(r"http://127\.0\.0\.1:(\d+)", line)[1])
    page = httpx.get(f"http://127.0.0.1:{port}/").text
    return process, re.search(r'studio-token" content="([^"]+)"', page)[1], port


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize("ending", ["SIGINT", "SIGTERM"])
def test_ctrl_c_ends_cleanly_and_leaves_nothing(tmp_path, samples, ending):
    process, token, port = start(tmp_path, "--input", str(samples / "sample_2.jpg"))
    try:
        home = f"http://127.0.0.1:{port}"
        headers = {"x-studio-token": token}
        info = httpx.get(f"{home}/api/info", headers=headers).json()
        assert info["photo"]
        # A long export is at work when the end comes.
        body = {"photo": info["photo"], "named": "circle:0.5", "seconds": 20}
        path = httpx.post(f"{home}/api/paths", json=body, headers=headers).json()
        wish = {"kind": "video", "path": path["key"]}
        job = httpx.post(f"{home}/api/exports", json=wish, headers=headers).json()
        while not httpx.get(f"{home}/api/exports/{job['key']}", headers=headers).json()["done"]:
            time.sleep(0.05)
        assert list((tmp_path / "tmp").iterdir())
        process.send_signal(getattr(signal, ending))
        _, error = process.communicate(timeout=60)
        assert process.returncode == 0 and "Traceback" not in error, error
        assert not list((tmp_path / "tmp").glob("synth-studio*"))
    finally:
        process.kill()
        process.wait()


def test_a_taken_port_is_bad_usage():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = CliRunner().invoke(cli, ["studio", "--no-browser", "--port", str(port)])
    assert result.exit_code == 2 and f"got {port}" in result.output
    assert len(result.output.strip().splitlines()) == 1


@pytest.mark.parametrize(
    "name, content, says",
    [("missing.jpg", None, "missing.jpg"), ("text.jpg", b"hello", "text.jpg: expected a whole")],
)
def test_a_bad_first_photo_is_bad_usage(tmp_path, name, content, says):
    file = tmp_path / name
    if content is not None:
        file.write_bytes(content)
    args = ["studio", "--no-browser", "--port", "0", "--input", str(file)]
    result = CliRunner().invoke(cli, args)
    assert result.exit_code == 2 and says in result.output
    assert len(result.output.strip().splitlines()) == 1


@pytest.mark.parametrize("package", ["fastapi", "uvicorn"])
def test_without_the_extra_the_remedy_is_named(monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    result = CliRunner().invoke(cli, ["studio", "--no-browser"])
    assert result.exit_code == 2
    assert 'pip install "synth-affect[studio]"' in result.output
    assert len(result.output.strip().splitlines()) == 1
