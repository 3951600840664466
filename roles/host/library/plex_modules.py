"""An Ansible module: loads kernel modules, now and at each boot."""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule


def is_there(name: str, root: Path = Path("/")) -> bool:
    """Whether the kernel has the module `name`, loaded or built in."""
    if (root / "sys/module" / name).exists():
        return True
    filesystems = (root / "proc/filesystems").read_text().split()
    if name in filesystems:
        return True
    builtin = root / "lib/modules" / platform.release() / "modules.builtin"
    if builtin.exists() and f"/{name}.ko" in builtin.read_text():
        return True
    # A built-in module without parameters may only be visible by its symbols.
    symbols = root / "proc/kallsyms"
    if not symbols.exists():
        return False
    with symbols.open() as lines:
        return any(line.split()[2].startswith(f"{name}_") for line in lines)


def load(
    names: Sequence[str],
    optional: Sequence[str],
    file: Path,
    *,
    there: Callable[[str], bool],
    modprobe: Callable[[str], bool],
) -> tuple[list[str], list[str]]:
    """Returns the loaded modules and notes. Loaded modules are added to `file`, for each boot."""
    loaded, notes = [], []
    for name in (*names, *optional):
        if there(name):
            continue
        if modprobe(name):
            loaded.append(name)
        elif name in names:
            notes.append(f"the kernel has no module {name}, or it cannot be loaded from here")
    if loaded:
        kept = file.read_text().split() if file.exists() else []
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(f"{name}\n" for name in dict.fromkeys((*kept, *loaded))))
    return loaded, notes


def main() -> None:
    arguments = {
        "names": {"type": "list", "elements": "str", "required": True},
        "optional": {"type": "list", "elements": "str", "default": []},
        "file": {"type": "path", "required": True},
    }
    module = AnsibleModule(argument_spec=arguments, supports_check_mode=True)

    def modprobe(name: str) -> bool:
        program = module.get_bin_path("modprobe")
        if not program:
            return False
        dry = ["--dry-run"] if module.check_mode else []
        return bool(module.run_command([program, *dry, name])[0] == 0)

    file = Path(module.params["file"])
    if module.check_mode:
        file = Path("/dev/null")
    loaded, notes = load(
        module.params["names"],
        module.params["optional"],
        file,
        there=is_there,
        modprobe=modprobe,
    )
    module.exit_json(changed=bool(loaded), loaded=loaded, notes=notes)


if __name__ == "__main__":
    main()
