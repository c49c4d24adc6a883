"use strict";
// Shows notifications (channels/push.py writes them) and tells the service what became of each.

const tell = (address, kind) =>
  address ? fetch(`${address}/${kind}`, { method: "POST", keepalive: true }).catch(() => undefined) : undefined;

self.addEventListener("install", () => self.skipWaiting());

self.addEventListener("push", (event) => {
  const said = event.data ? event.data.json().notification : undefined;
  if (!said) return;
  const { title, navigate, actions = [], data = {}, ...rest } = said;
  const places = Object.fromEntries(actions.map((one) => [one.action, one.navigate]));
  const shown = self.registration.showNotification(title, {
    ...rest,
    actions: actions.map(({ action, title: label }) => ({ action, title: label })),
    data: { ...data, navigate, places },
  });
  event.waitUntil(Promise.all([shown, tell(data.opens, "displayed")]));
});

self.addEventListener("notificationclick", (event) => {
  const { opens, clicks, navigate, places = {} } = event.notification.data || {};
  const place = places[event.action] || navigate;
  event.notification.close();
  const opened = place ? self.clients.openWindow(place).catch(() => undefined) : undefined;
  event.waitUntil(Promise.all([opened, tell(opens, "open"), tell(clicks, "click")]));
});
