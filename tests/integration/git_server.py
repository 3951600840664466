"""A git repository served over SSH, to one key alone."""

from __future__ import annotations

import asyncio
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import asyncssh


@dataclass
class GitServer:
    """Serves `repository` as ssh://git@ADDRESS:PORT/lab.git to those with the key `allowed`."""

    repository: Path
    address: str
    allowed: str = ""
    port: int = 0
    served: int = 0
    host_key: asyncssh.SSHKey = field(
        default_factory=lambda: asyncssh.generate_private_key("ssh-ed25519")
    )

    @property
    def url(self) -> str:
        return f"ssh://git@{self.address}:{self.port}/lab.git"

    @property
    def known_hosts(self) -> str:
        public = self.host_key.export_public_key().decode().strip()
        return f"[{self.address}]:{self.port} {public}\n"

    def public_key_allowed(self, key: str) -> bool:
        return bool(self.allowed) and self.allowed.split()[:2] == key.split()[:2]

    async def serve(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        assert process.command is not None
        program = process.command.split()[0]
        if program != "git-upload-pack":
            process.exit(1)
            return
        self.served += 1
        git = await asyncio.create_subprocess_exec(
            *("git", "upload-pack", str(self.repository)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        await process.redirect(stdin=git.stdin, stdout=git.stdout)
        process.exit(await git.wait())


@contextmanager
def serving(repository: Path, address: str) -> Iterator[GitServer]:
    """A server in a thread of its own until the block ends."""
    server = GitServer(repository, address)
    loop = asyncio.new_event_loop()

    class Door(asyncssh.SSHServer):
        def public_key_auth_supported(self) -> bool:
            return True

        def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
            return server.public_key_allowed(key.export_public_key().decode())

    async def listen() -> asyncssh.SSHAcceptor:
        listener = await asyncssh.create_server(
            Door,
            address,
            0,
            server_host_keys=[server.host_key],
            process_factory=server.serve,
            encoding=None,
        )
        server.port = listener.get_port()
        return listener

    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    listener = asyncio.run_coroutine_threadsafe(listen(), loop).result(10)
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(listener.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)


def commit(tree: Path, bare: Path, message: str) -> str:
    """Commit all of `tree` and push it to `bare`; the commit's hash."""

    def git(*words: str) -> str:
        who = ("-c", "user.name=story", "-c", "user.email=story@example.test")
        command = ["git", *who, *words]
        done = subprocess.run(
            command, cwd=tree, capture_output=True, text=True, check=True, timeout=60
        )
        return done.stdout.strip()

    if not (tree / ".git").exists():
        git("init", "-q", "-b", "main")
    if not bare.exists():
        subprocess.run(
            ["git", "init", "-q", "--bare", "-b", "main", str(bare)], check=True, timeout=60
        )
    git("add", "-A")
    git("commit", "-q", "-m", message)
    git("push", "-q", str(bare), "main")
    return git("rev-parse", "HEAD")
