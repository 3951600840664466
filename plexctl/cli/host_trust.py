"""The verb `host trust`."""

from __future__ import annotations

from typing import Annotated

import typer

from plexctl.cli.options import HostArgument, Json, Quiet, Verbose, Yes
from plexctl.cli.session import lab
from plexctl.cli.terminal import answer, confirm
from plexctl.render import host_text
from plexctl.workflow.host import trust as host_trust


def trust(
    context: typer.Context,
    name: HostArgument,
    print_: Annotated[
        bool,
        typer.Option("--print", help="Only print the script for an administrator of the host."),
    ] = False,
    url: Annotated[
        str | None,
        typer.Option(
            "--url",
            metavar="URL",
            help="Its API; default: `url` in hosts.yaml, or https://127.0.0.1:8443.",
        ),
    ] = None,
    yes: Yes = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Confine the lab to a project of its own on an Incus host.

    The lab's certificate is restricted to that project. A script creates the project and the
    bridges of the lab's plexes. If you may use the Incus socket of this machine, plexctl runs the
    script. Otherwise let an administrator of the host run the output of --print first. Repeat this
    when plexes are added or their networks change.
    """
    with lab(context, quiet=quiet or print_, verbose=verbose) as ctx:
        script = host_trust.trust_script(ctx, name)
        if print_:
            typer.echo(script, nl=False)
            return
        here = host_trust.is_administrator(ctx, name)
        if here:
            confirm(f"change the Incus server of this machine for the lab: {name}", yes)
            host_trust.run_script(ctx, name, script)
        where = host_trust.endpoint(ctx, name, url)
        certificate, sure = host_trust.certificate_of(ctx, name, where)
        if not sure:
            confirm(f"{where} has the certificate {certificate}, which the lab will trust", yes)
        result = host_trust.trust(ctx, name, where, certificate)
    answer(result, host_text.host, json)
