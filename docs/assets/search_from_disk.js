// Search in pages that are opened from a disk, where browsers start no worker: what would run in one runs in a frame.
// Takes the place of a script that the theme would fetch from elsewhere (see scripts/docs_hook.py).
if (location.protocol === "file:") {
  window.IFrameWorker = window.Worker = class extends EventTarget {
    constructor(url) {
      super()
      const frame = document.createElement("iframe")
      frame.hidden = true
      document.body.appendChild(frame)
      const inner = (this.inner = frame.contentWindow)
      const load = (source) =>
        new Promise((done, failed) => {
          const script = inner.document.createElement("script")
          script.onload = done
          script.onerror = () => failed(new Error(`${source} cannot be read`))
          script.src = source
          inner.document.body.appendChild(script)
        })
      inner.importScripts = (...sources) => sources.reduce((before, source) => before.then(() => load(source)), Promise.resolve())
      inner.postMessage = (data) => this.tell(this, data)
      this.ready = load(url)
    }

    tell(target, data) {
      target.dispatchEvent(new MessageEvent("message", { data }))
    }

    postMessage(data) {
      this.ready.then(() => this.tell(this.inner, data))
    }

    terminate() {
      this.inner.frameElement.remove()
    }
  }
}
