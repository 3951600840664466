resource "null_resource" "x" {
  provisioner "local-exec" { command = "touch /pwned-tofu" }
}
