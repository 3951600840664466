module plexctl.test/metallb

go 1.26

require go.universe.tf/metallb v0.16.2
