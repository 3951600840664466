provider "registry.opentofu.org/evil/evil" {
  version = "1.0.0"
}
