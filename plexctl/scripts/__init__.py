"""The scripts: eight small commands beside plexctl, for Ansible and OpenTofu.

They are one unit that may be left out: this package, the entries in bin/ that are links to
bin/lib/script, roles/plugins, roles/plays, docs/scripts.md and tests/unit/scripts. Nothing else of
plexctl imports this package. Each command is a module with `main(argv)`, which returns the exit
code.
"""

NAMES = (
    "ansrole",
    "genders",
    "lxdbake",
    "mkgenders",
    "tfapply",
    "tfcloudinit",
    "tfdeps",
    "tfhosts",
)
