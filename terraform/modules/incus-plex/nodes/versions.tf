terraform {
  required_providers {
    incus = {
      source = "lxc/incus" # incus-plex pins the version
    }
  }
}
