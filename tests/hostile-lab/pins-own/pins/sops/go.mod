module evil

go 1.24

replace example.org/x => ../../../../../../etc
