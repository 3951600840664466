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

// get asks until two servers have answered, and prints each of them once.
func get(url string) {
	client := http.Client{
		Timeout:   time.Second,
		Transport: &http.Transport{DisableKeepAlives: true},
	}
	seen := map[string]bool{}
	var failed error
	for tries := 0; len(seen) < 2; tries++ {
		if tries == 300 {
			log.Fatalf("only %d of 2 servers answered; last failure: %v", len(seen), failed)
		}
		answer, err := client.Get(url)
		if err != nil {
			failed = err
			time.Sleep(200 * time.Millisecond)
			continue
		}
		body, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if err == nil && !seen[string(body)] {
			seen[string(body)] = true
			fmt.Print(string(body))
		}
		time.Sleep(20 * time.Millisecond)
	}
}
