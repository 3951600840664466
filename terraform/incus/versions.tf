terraform {
  required_version = ">= 1.9"

  required_providers {
    incus = {
      source = "lxc/incus" # the module pins the version
    }
  }
}
