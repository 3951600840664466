// An HTTP server that says who it is, and a client for it: what the stories run in pods.
package main

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"time"
)

func main() {
	if len(os.Args) == 3 && os.Args[1] == "get" {
		get(os.Args[2])
		return
	}
	http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		name, _ := os.Hostname()
		fmt.Fprintln(w, name)
	})
	log.Fatal(http.ListenAndServe(":8080", nil))
}

// get asks until it is answered, and prints the answers of ten connections.
func get(url string) {
	client := http.Client{
		Timeout:   time.Second,
		Transport: &http.Transport{DisableKeepAlives: true},
	}
	answers := 0
	var failed error
	for tries := 0; answers < 10 && tries < 100; tries++ {
		answer, err := client.Get(url)
		if err != nil {
			failed = err
			time.Sleep(200 * time.Millisecond)
			continue
		}
		io.Copy(os.Stdout, answer.Body)
		answer.Body.Close()
		answers++
	}
	if answers < 10 {
		log.Fatal(failed)
	}
}
