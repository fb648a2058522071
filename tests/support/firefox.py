"""Debian's Firefox without a window, driven by its own protocol (Marionette) over a socket."""

import json
import socket
import subprocess
import time
from pathlib import Path

START_S = 120


class Firefox:
    """A running Firefox; commands are those of WebDriver."""

    def __init__(self, program: str, profile: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        (profile / "user.js").write_text(f'user_pref("marionette.port", {port});\n')
        command = [program, "--headless", "--marionette", "--no-remote", "--profile", str(profile)]
        size = ["--width", "1280", "--height", "900"]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self._process = subprocess.Popen([*command, *size], **quiet)
        self._socket = self._connected(port)
        self._number = 0
        self._answer()  # how it greets
        self.do("WebDriver:NewSession", capabilities={"alwaysMatch": {}})

    def _connected(self, port: int) -> socket.socket:
        ends = time.monotonic() + START_S
        while True:
            try:
                return socket.create_connection(("127.0.0.1", port), timeout=START_S)
            except OSError:
                if time.monotonic() > ends or self._process.poll() is not None:
                    self._process.kill()
                    raise
                time.sleep(0.2)

    def _answer(self):
        size = b""
        while (letter := self._socket.recv(1)) != b":":
            size += letter
        text = b""
        while len(text) < int(size):
            text += self._socket.recv(int(size) - len(text))
        return json.loads(text)

    def do(self, name: str, **parameters):
        self._number += 1
        text = json.dumps([0, self._number, name, parameters]).encode()
        self._socket.sendall(b"%d:%s" % (len(text), text))
        _, _, error, found = self._answer()
        assert error is None, error
        return found

    def run(self, script: str):
        return self.do("WebDriver:ExecuteScript", script=script, args=[])["value"]

    def wait(self, condition: str) -> None:
        ends = time.monotonic() + START_S
        while not self.run(f"return Boolean({condition})"):
            assert time.monotonic() < ends, condition
            time.sleep(0.1)

    def drag(self, kind: str, *places: tuple[float, float]) -> None:
        """Press at the first place, move to the others, and let go."""
        moves = [
            {"type": "pointerMove", "duration": 20, "x": round(x), "y": round(y)} for x, y in places
        ]
        down, up = ({"type": f"pointer{what}", "button": 0} for what in ("Down", "Up"))
        pointer = {"type": "pointer", "id": kind, "parameters": {"pointerType": kind}}
        self.do(
            "WebDriver:PerformActions",
            actions=[pointer | {"actions": [moves[0], down, *moves[1:], up]}],
        )
        self.do("WebDriver:ReleaseActions")

    def close(self) -> None:
        self._socket.close()
        self._process.terminate()
        self._process.wait(START_S)
