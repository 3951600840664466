"""An Ansible module: raises kernel settings to minimum values, now and at each boot."""

from __future__ import annotations

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

PROC = Path("/proc/sys")


def raise_settings(
    least: dict[str, int], file: Path, *, proc: Path = PROC, check: bool = False
) -> tuple[list[str], list[str], bool]:
    """Returns the raised settings, notes, and whether anything changed. Lowers no setting.

    Raised settings are written to `file` too, which keeps its other settings.
    """
    raised: list[str] = []
    notes: list[str] = []
    kept = _read(file)
    before = dict(kept)
    for name, value in least.items():
        path = proc / name.replace(".", "/")
        if not path.exists():
            notes.append(f"the setting {name} is not visible here: fewer nodes may fit")
            continue
        now = int(path.read_text().split()[0])
        if now >= value:
            continue
        if not check:
            try:
                path.write_text(f"{value}\n")
            except OSError:
                notes.append(f"{name} is {now} and cannot be raised to {value} here")
                continue
        raised.append(f"{name} {now} -> {value}")
        kept[name] = str(value)
    if kept != before and not check:
        file.write_text("".join(f"{name}={value}\n" for name, value in kept.items()))
    return raised, notes, bool(raised)


def _read(file: Path) -> dict[str, str]:
    if not file.exists():
        return {}
    lines = (line.partition("=") for line in file.read_text().splitlines() if "=" in line)
    return {name.strip(): value.strip() for name, _, value in lines}


def main() -> None:
    arguments = {
        "least": {"type": "dict", "required": True},
        "file": {"type": "path", "required": True},
    }
    module = AnsibleModule(argument_spec=arguments, supports_check_mode=True)
    least = {name: int(value) for name, value in module.params["least"].items()}
    raised, notes, changed = raise_settings(
        least, Path(module.params["file"]), check=module.check_mode
    )
    module.exit_json(changed=changed, raised=raised, notes=notes)


if __name__ == "__main__":
    main()
