// Watches namespaces and pods as controllers do, with client-go's informers, until its standard
// input ends. The argument is a kubeconfig. Prints a line of JSON for each event and each request.
package main

import (
	"encoding/json"
	"io"
	"log"
	"net/http"
	"os"
	"sync"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
)

var lines sync.Mutex

func write(line map[string]any) {
	lines.Lock()
	defer lines.Unlock()
	if err := json.NewEncoder(os.Stdout).Encode(line); err != nil {
		log.Fatal(err)
	}
}

type recorder struct{ http.RoundTripper }

func (r recorder) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := r.RoundTripper.RoundTrip(request)
	status := 0 // no answer
	if err == nil {
		status = response.StatusCode
	}
	query := request.URL.Query()
	write(map[string]any{
		"request": request.URL.Path,
		"version": query.Get("resourceVersion"),
		// A watch that begins with all objects is a list, too.
		"list":   query.Get("watch") == "" || query.Get("sendInitialEvents") == "true",
		"status": status,
	})
	return response, err
}

func event(name string, object any) {
	if gone, ok := object.(cache.DeletedFinalStateUnknown); ok {
		object = gone.Obj
	}
	found, err := meta.Accessor(object)
	if err != nil {
		log.Fatal(err)
	}
	write(map[string]any{
		"event": name, "namespace": found.GetNamespace(), "name": found.GetName(), "uid": found.GetUID(),
	})
}

func main() {
	config, err := clientcmd.BuildConfigFromFlags("", os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	config.Wrap(func(inner http.RoundTripper) http.RoundTripper { return recorder{inner} })
	factory := informers.NewSharedInformerFactory(kubernetes.NewForConfigOrDie(config), 0)
	handler := cache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { event("add", object) },
		UpdateFunc: func(_, object any) { event("update", object) },
		DeleteFunc: func(object any) { event("delete", object) },
	}
	core := factory.Core().V1()
	for _, one := range []cache.SharedIndexInformer{core.Namespaces().Informer(), core.Pods().Informer()} {
		if _, err := one.AddEventHandler(handler); err != nil {
			log.Fatal(err)
		}
	}
	stop := make(chan struct{})
	factory.Start(stop)
	factory.WaitForCacheSync(stop)
	write(map[string]any{"synced": true})
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		log.Fatal(err)
	}
	close(stop)
	factory.Shutdown()
}
