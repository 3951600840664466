"""A git repository served over SSH, to one key alone."""

from __future__ import annotations

import asyncio
import os
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
            await process.wait_closed()
            return
        self.served += 1
        git = await asyncio.create_subprocess_exec(
            *("git", "upload-pack", str(self.repository)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        await process.redirect(stdin=git.stdin, stdout=git.stdout)
        process.exit(await git.wait())
        await process.wait_closed()


@contextmanager
def serving(repository: Path, address: str) -> Iterator[GitServer]:
    """A server in a thread of its own until the block ends."""
    server = GitServer(repository, address)
    loop = asyncio.new_event_loop()

    class Login(asyncssh.SSHServer):
        def public_key_auth_supported(self) -> bool:
            return True

        def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
            return server.public_key_allowed(key.export_public_key().decode())

    async def listen() -> asyncssh.SSHAcceptor:
        listener = await asyncssh.create_server(
            Login,
            address,
            0,
            server_host_keys=[server.host_key],
            process_factory=server.serve,
            encoding=None,
        )
        server.port = listener.get_port()
        return listener

    async def close() -> None:
        """Close the server, and let connections that are left end."""
        listener.close()
        await listener.wait_closed()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        if left:
            _, late = await asyncio.wait(left, timeout=5)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    listener = asyncio.run_coroutine_threadsafe(listen(), loop).result(10)
    try:
        yield server
    finally:
        asyncio.run_coroutine_threadsafe(close(), loop).result(20)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


WHO = "story@example.test"


@contextmanager
def signer(home: Path) -> Iterator[bytes]:
    """A new OpenPGP key of the one who commits, usable in `home` in this block; its public half."""
    home.mkdir(mode=0o700)
    gpg = ("gpg", "--homedir", str(home), "--batch", "--quiet")
    new = ("--passphrase", "", "--quick-generate-key", WHO, "rsa2048", "sign", "never")
    subprocess.run([*gpg, *new], check=True, timeout=120)
    export = [*gpg, "--armor", "--export", WHO]
    try:
        yield subprocess.run(export, stdout=subprocess.PIPE, check=True, timeout=60).stdout
    finally:
        subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=True, timeout=60)


def commit(tree: Path, bare: Path, message: str, *, signed: Path | None = None) -> str:
    """Commit all of `tree` and push it to `bare`; the commit's hash.

    With the key in `signed`, if that is given.
    """

    def git(*words: str) -> str:
        who = ("user.name=story", f"user.email={WHO}", f"user.signingkey={WHO}")
        command = ["git", *(word for one in who for word in ("-c", one)), *words]
        done = subprocess.run(
            command,
            cwd=tree,
            env={**os.environ, **({"GNUPGHOME": str(signed)} if signed else {})},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        return done.stdout.strip()

    if not (tree / ".git").exists():
        git("init", "-q", "-b", "main")
    if not bare.exists():
        subprocess.run(
            ["git", "init", "-q", "--bare", "-b", "main", str(bare)], check=True, timeout=60
        )
    git("add", "-A")
    git("commit", "-q", "-m", message, *(("-S",) if signed else ()))
    git("push", "-q", str(bare), "main")
    return git("rev-parse", "HEAD")
