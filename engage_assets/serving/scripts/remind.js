"use strict";
// The button "Remind me on this device" of the registration page. Without it, or without scripts, the page is whole.

(() => {
  const box = document.getElementById("remind");
  const able = "serviceWorker" in navigator && "PushManager" in window && "Notification" in window;
  if (!box || !able) return;
  const button = box.querySelector("button");
  const said = box.querySelector("[role=status]");
  const { token, key } = box.dataset;
  const words = box.dataset;

  const bytesOf = (text) =>
    Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (one) => one.charCodeAt(0));

  const post = async (path, subscription) => {
    const answer = await fetch(`../push/subscriptions/${token}${path}`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(subscription),
    });
    if (!answer.ok) throw new Error(`status ${answer.status}`);
  };

  const show = (isOn, text) => {
    button.textContent = isOn ? words.off : words.on;
    button.dataset.on = isOn ? "yes" : "";
    said.textContent = text;
  };

  const turnOn = async (manager) => {
    if ((await Notification.requestPermission()) !== "granted") return show(false, words.blocked);
    const options = { userVisibleOnly: true, applicationServerKey: bytesOf(key) };
    await post("", await manager.subscribe(options));
    return show(true, words.done);
  };

  const turnOff = async (manager) => {
    const subscription = await manager.getSubscription();
    if (subscription) {
      await post("/gone", subscription);
      await subscription.unsubscribe();
    }
    return show(false, words.undone);
  };

  const begin = async () => {
    const worker = await navigator.serviceWorker.register("../push/worker.js");
    const manager = worker.pushManager;
    show(Boolean(await manager.getSubscription()), "");
    button.addEventListener("click", async () => {
      button.disabled = true;
      try {
        await (button.dataset.on ? turnOff(manager) : turnOn(manager));
      } catch {
        said.textContent = words.failed;
      }
      button.disabled = false;
      button.focus();
    });
    box.hidden = false;
  };

  begin().catch(() => undefined);
})();
