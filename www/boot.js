// Shows what the program itself cannot: that it is missing, cannot start, or has stopped.
(() => {
  "use strict";

  const show = (id) => {
    const box = document.getElementById(id);
    if (box) box.hidden = false;
  };

  const onReady = (action) => {
    if (document.readyState === "loading") {
      document.addEventListener("DOMContentLoaded", action, { once: true });
    } else {
      action();
    }
  };

  if (typeof WebAssembly !== "object") {
    onReady(() => {
      document.getElementById("app")?.remove();
      show("no-wasm");
    });
    return;
  }

  // The first fault is the one that tells; a stopped program causes more.
  let stopped = false;
  const stop = (reason) => {
    if (stopped) return;
    stopped = true;
    onReady(() => {
      document.getElementById("crash-reason").textContent = String(reason?.stack ?? reason);
      show("crash");
      document.getElementById("crash-reload").focus();
    });
  };

  // Browsers report a harmless loop of size observers the same way.
  const isHarmless = (message) => String(message).startsWith("ResizeObserver loop");

  addEventListener("error", (event) => {
    if (!isHarmless(event.message)) stop(event.error ?? event.message);
  });
  addEventListener("unhandledrejection", (event) => stop(event.reason));
  onReady(() => {
    document.getElementById("crash-reload").addEventListener("click", () => location.reload());
    document.getElementById("crash-copy").addEventListener("click", () => {
      navigator.clipboard?.writeText(document.getElementById("crash-reason").textContent);
    });
  });
})();
