// Pieces of the page, made from data. Everything that a machine says becomes text, never markup.

import { STEPS } from "/protocol.js";

export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value !== undefined && value !== null && value !== false) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export function duration(seconds) {
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86400)} d`;
}

export function bytes(count) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (count >= 1024 && unit + 1 < units.length) { count /= 1024; unit += 1; }
  return `${unit === 0 ? count : count.toFixed(1)} ${units[unit]}`;
}

export function badge(state) {
  return make("span", { class: `badge ${state}` }, state);
}

function progress(node) {
  const p = node.progress;
  if (!p) return null;
  const [done, total] = p.total_bytes > 0 ? [p.done_bytes, p.total_bytes] : [p.done_paths, p.total_paths];
  if (total === 0) return null;
  const text = p.total_bytes > 0 ? `${bytes(done)} of ${bytes(total)}` : `${done} of ${total} paths`;
  return [make("progress", { max: total, value: done, "aria-label": text }), make("span", { class: "small soft number" }, text)];
}

export function step(node) {
  if (!node.step) return [make("span", { class: "soft" }, "–")];
  const number = STEPS.indexOf(node.step) + 1;
  const label = make("span", {}, make("span", { class: "soft number" }, `${number}/${STEPS.length} `), node.step);
  return [label, ...(progress(node) ?? [])];
}

// The rest of a code is typed from the machine's console: whoever admits a machine has looked at it.
export function code(node) {
  return make("span", { class: "code" }, `${node.code.slice(0, 4)}-····`);
}

// The server knows which node the machine would become: the code is all it waits for.
export function known(node) {
  return !node.missing.some((missing) => missing.need === "node-spec");
}

// A machine that waits may be refused, and one that was refused may wait again.
export function acts(node, { approve, reject, unreject }) {
  const button = (text, act) => make("button", { click: () => act(node) }, text);
  return [
    node.code && known(node) && button("Approve", approve),
    ["pending", "conflict"].includes(node.state) && button("Reject", reject),
    node.state === "rejected" && button("Undo", unreject),
  ].filter(Boolean);
}

function waiting(node, verbs) {
  if (node.failure) return [make("span", { class: "small failed badge", title: node.failure.cause }, node.failure.code)];
  const parts = [];
  if (node.code) parts.push(code(node));
  parts.push(...acts(node, verbs));
  // The code itself is beside it.
  const text = node.missing.filter((missing) => missing.need !== "code").map((missing) => missing.text).join("; ");
  if (text) parts.push(make("span", { class: "small soft" }, `needs ${text}`));
  return parts;
}

// How a node is that runs its services; what is well is not said again.
export function condition(health) {
  if (!health || health.condition === "unknown" || health.condition === "healthy") return [];
  const text = health.condition === "silent" ? `silent for ${duration(health.heard_seconds)}` : health.condition;
  return [" ", make("span", { class: "badge failed" }, text)];
}

function services(health) {
  return (health.report?.services ?? []).map((service) => {
    const parts = [service.healthy ? "healthy" : "not healthy", service.version,
      service.leader && `leader ${service.leader}`, service.members.length > 0 && `members ${service.members.join(", ")}`,
      service.failure && `${service.failure.code}: ${service.failure.cause}`];
    return [service.service, parts.filter(Boolean).join(" · ")];
  });
}

export function row(node, verbs) {
  const silent = node.silent_seconds;
  return make("tr", {},
    make("td", {}, make("a", { class: "number", href: `#node/${encodeURIComponent(node.name)}` }, node.name),
      make("div", { class: "small soft" }, node.address ?? "")),
    make("td", {}, badge(node.state), ...condition(node.health)),
    make("td", {}, ...step(node)),
    make("td", {}, ...waiting(node, verbs)),
    make("td", { class: "number soft" }, silent === null ? "–" : duration(silent)));
}

function certificate(ends) {
  const left = Math.floor((Date.parse(ends) - Date.now()) / 1000);
  const at = new Date(ends).toISOString().slice(0, 19).replace("T", " ");
  return left > 0 ? `ends ${at} UTC, ${duration(left)} left` : `ended ${at} UTC`;
}

function tpm(state) {
  if (state?.broken) return `broken: ${state.broken.why}`;
  if (state?.claimed) return `EK ${state.claimed.ek}, not proven`;
  if (!state?.proven) return "";
  const { ek, vendor } = state.proven;
  return `EK ${ek}, proven, certified by ${vendor.by ?? `nobody (${vendor.nobody})`}`;
}

// What the event log of the machine's firmware proves of the boot with which it enrolled.
function log(detail) {
  return detail.boot_trust === "measured" ? detail.tpm?.proven?.log : undefined;
}

function bootTrust(detail) {
  const proven = log(detail)?.fits?.secure_boot;
  const state = proven?.state ?? detail.inventory?.secure_boot.state ?? "absent";
  return `${detail.boot_trust}; Secure Boot is ${state}, ${proven ? "as its TPM proves" : "as it says"}`;
}

const short = (hash) => `SHA-256 ${hash.slice(0, 12)}`;

function measured({ fits, "does-not-fit": misfit, missing }, fact) {
  if (!fits) return fact("Event log", misfit ? `not believed: ${misfit}` : missing && `none: ${missing}`);
  const keys = ["pk", "kek", "db", "dbx"].filter((name) => fits.secure_boot?.[name]);
  fact("Secure Boot keys", keys.map((name) => `${name} ${short(fits.secure_boot[name])}`).join(", "));
  fact("Vouched by", fits.authorities.map((one) => `${one.subject ?? "an entry"} (${one.list}, ${short(one.sha256)})`).join(", "));
  const started = fits.started.map((one) => (one.from ? `${one.from} (${short(one.sha256)})` : short(one.sha256)));
  fact("Started", [...started, ...(fits.more_started ? [`${fits.more_started} more`] : [])].join(" › "));
}

function diskStart({ at, log }) {
  const state = log.fits?.secure_boot?.state;
  const told = state ? `; Secure Boot is ${state}, as its TPM proves` : "";
  return `measured ${new Date(at).toISOString().slice(0, 19).replace("T", " ")} UTC${told}`;
}

export function facts(detail) {
  const list = make("dl");
  const fact = (name, value) => { if (value) list.append(make("dt", {}, name), make("dd", {}, value)); };
  const { summary, spec, claims, inventory, ready } = detail;
  fact("Generation", `${summary.generation}`);
  fact("Address", summary.address);
  fact("Last heard", summary.silent_seconds === null ? "" : `${duration(summary.silent_seconds)} ago`);
  fact("Run", detail.run);
  fact("System", spec?.system.toplevel);
  if (summary.certificate_ends) fact("Certificate", certificate(summary.certificate_ends));
  if (summary.running && summary.running !== spec?.system.toplevel) fact("Running", summary.running);
  fact("MACs", claims?.macs.join(", "));
  fact("Serial", claims?.serial);
  fact("UUID", claims?.uuid);
  if (claims) fact("Boot trust", bootTrust(detail));
  if (log(detail)) measured(log(detail), fact);
  fact("TPM", tpm(detail.tpm));
  if (detail.starts?.last) fact("Disk started", diskStart(detail.starts.last));
  if (inventory) {
    fact("Hardware", [inventory.dmi.vendor, inventory.dmi.product].filter(Boolean).join(" "));
    fact("CPU", inventory.cpu.threads ? `${inventory.cpu.threads} × ${inventory.cpu.model}` : "");
    fact("Memory", inventory.memory_bytes ? bytes(inventory.memory_bytes) : "");
    for (const disk of inventory.disks) fact("Disk", `${disk.name}, ${bytes(disk.size)}, ${disk.serial ?? "no serial"}`);
  }
  const { health } = summary;
  if (health) fact("Health", `${health.condition}, heard ${duration(health.heard_seconds)} ago`);
  const told = health ? services(health) : [];
  for (const [name, text] of told) fact(name, text);
  for (const report of detail.memberships) {
    if (!told.some(([name]) => name === report.service)) fact(report.service, `members ${report.members.join(", ")}`);
  }
  if (ready) {
    fact("Versions", [ready.versions.agent && `agent ${ready.versions.agent}`, ready.versions.kernel && `kernel ${ready.versions.kernel}`]
      .filter(Boolean).join(", "));
    fact("Joined", detail.memberships.map((report) => `${report.service} in ${(report.join_ms / 1000).toFixed(1)} s`).join(", "));
    fact("Boot order found", ready.boot_order.join(" › "));
  }
  fact("Agent memory", detail.agent_peak_rss ? bytes(detail.agent_peak_rss) : "");
  fact("Boot order", detail.boot_order.join(" › "));
  return list;
}

// One line per step: the last word about it, and how long it took.
export function timeline(events, summary) {
  const steps = new Map();
  for (const { event } of events) {
    const known = steps.get(event.step) ?? { mark: "", tone: "", time: "", detail: "" };
    if (event.event === "started") Object.assign(known, { mark: "●", tone: "installing", time: "", detail: "under way" });
    if (event.event === "finished") {
      const time = `${(event.duration_ms / 1000).toFixed(1)} s`;
      Object.assign(known, { mark: "✓", tone: "ready", time, detail: event.detail });
    }
    if (event.event === "failed") {
      const next = event.retry_in_ms === null || event.retry_in_ms === undefined
        ? "the run ends" : `again in ${Math.round(event.retry_in_ms / 1000)} s`;
      Object.assign(known, { mark: "✗", tone: "failed", detail: `${event.failure.code}: ${event.failure.cause.split("\n")[0]} (${next})` });
    }
    if (event.event === "note" && known.mark !== "✓") known.detail = event.text;
    steps.set(event.step, known);
  }
  const order = [...steps].sort(([a], [b]) => STEPS.indexOf(a) - STEPS.indexOf(b));
  return make("ol", { class: "steps" }, ...order.map(([name, s]) => make("li", {},
    make("span", { class: `mark ${s.tone}` }, s.mark), make("span", {}, name),
    make("span", { class: "number soft" }, s.time),
    make("span", { class: "detail" }, ...(name === summary.step && progress(summary) || [s.detail])))));
}

// Whether this line of the plan says that something is destroyed; any may where the server does not tell.
export function destroys(detail, line) {
  return detail.destroys?.includes(line) ?? true;
}

export function plan(detail, agree) {
  if (detail.plan.length === 0) return null;
  const lines = detail.plan.map((line, n) => make("div", { class: destroys(detail, n) ? "destroys" : null }, line));
  const held = detail.held_plan ?? null;
  const button = held && make("p", {}, make("button", { click: agree }, "Approve this plan"),
    make("span", { class: "small soft number" }, `  ${held.slice(0, 12)}`));
  return make("div", { class: held ? "card needs" : "card" }, make("h2", {}, "Plan"),
    make("div", { class: "plan" }, ...lines), button);
}

export function entry(item) {
  const clock = (time) => make("span", { class: "time" }, time.slice(11, 19));
  if (item.kind === "line") {
    const { time, level, source, message } = item.line;
    const tone = ["error", "warn", "debug"].includes(level) ? level : "";
    return make("div", { class: tone }, clock(time), source === "agent" ? message : `${source}: ${message}`);
  }
  const event = item.event;
  const text = {
    started: () => `${event.step} …`,
    finished: () => `${event.step} ✓ ${(event.duration_ms / 1000).toFixed(1)} s  ${event.detail}`,
    failed: () => `${event.step} ✗ ${event.failure.code}: ${event.failure.cause}`,
    note: () => `${event.step}: ${event.text}`,
  }[event.event]?.() ?? event.step;
  return make("div", { class: event.event === "failed" ? "error" : "step" }, clock(item.received), text);
}
