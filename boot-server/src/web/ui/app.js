// The admin's page: the list of nodes, one node, its live log. Speaks the same API as the command line.

import { address } from "/protocol.js";
import { acts, badge, code, destroys, entry, facts, make, plan, row, timeline } from "/view.js";

const main = document.getElementById("main");
const pulse = document.getElementById("pulse");
const logout = document.getElementById("logout");
const MOST_LINES = 5000;
const PAGE = 500;
const GATHER = 100;
let leave = () => {};

class Refused extends Error {
  constructor(status, failure) {
    super(failure?.cause ?? `the answer was ${status}`);
    this.status = status;
    this.remedy = failure?.remedy;
  }
}

async function send([method, path], body) {
  const answer = await fetch(path, { method, body, headers: { "content-type": "application/json" } });
  const said = await answer.json().catch(() => null);
  if (!answer.ok) throw new Refused(answer.status, said);
  return said;
}

const call = (name, ...args) => send(address(name, ...args));
const post = (body, name, ...args) => send(address(name, ...args), JSON.stringify(body));

function show(...children) {
  main.replaceChildren(...children);
}

// Asks again and again until the view is left; a server that is away is said so and waited for.
function every(milliseconds, ask) {
  let over = false;
  let timer;
  const round = async () => {
    try {
      await ask();
      pulse.textContent = "";
    } catch (error) {
      if (over) return;
      if (error.status === 403) return login();
      if (error.status === 404) pulse.textContent = error.message;
      else pulse.textContent = "The server does not answer; trying again …";
    }
    if (!over) timer = setTimeout(round, milliseconds);
  };
  round();
  return () => { over = true; clearTimeout(timer); };
}

function login() {
  leave();
  leave = () => {};
  logout.hidden = true;
  pulse.textContent = "";
  const token = make("input", { type: "password", name: "token", autocomplete: "current-password", required: "",
    "aria-label": "Admin token", placeholder: "Admin token" });
  const word = make("div", { class: "small failed badge", role: "alert", hidden: "" });
  const submit = async (event) => {
    event.preventDefault();
    try {
      await post({ token: token.value }, "LogIn");
      route();
    } catch (error) {
      word.textContent = error.status === 403 ? "This is not an admin's token" : error.message;
      word.hidden = false;
      token.select();
    }
  };
  const provider = document.body.dataset.provider;
  const elsewhere = provider
    ? [make("a", { class: "button", href: address("LogInElsewhere")[1] }, `Sign in with ${provider}`), make("div", { class: "soft" }, "or with a token")]
    : [];
  show(make("form", { class: "card login", submit },
    make("h1", {}, "Log in"), ...elsewhere,
    make("div", { class: "soft" }, "boot-server init has shown the first token; boot-server token create makes others."),
    token, word, make("button", {}, "Log in")));
  token.focus();
}

async function approve(node) {
  const typed = prompt(`Look at the console of this machine. Its code begins with ${node.code.slice(0, 4)}: type the last four characters.`);
  if (typed === null) return;
  await act(() => post({ code: node.code.slice(0, 5) + typed.trim() }, "Approve"));
}

async function reject(node) {
  const reason = prompt(`Refuse ${node.name}? It is told so on its console, and asks on until that is taken back. Why (may be empty):`);
  if (reason === null) return;
  await act(() => post({ reason: reason.trim() || undefined }, "Reject", node.name));
}

const unreject = (node) => act(() => call("Unreject", node.name));

async function act(send) {
  try {
    await send();
    route();
  } catch (error) {
    alert(`${error.message}\n${error.remedy ?? ""}`);
  }
}

const verbs = { approve, reject, unreject };

function list() {
  const body = make("tbody");
  const head = ["Node", "State", "Step", "", "Silent for"].map((name) => make("th", { scope: "col" }, name));
  const table = make("div", { class: "card scroll" }, make("table", {}, make("thead", {}, make("tr", {}, ...head)), body));
  const empty = make("div", { class: "card empty", hidden: "" },
    "No nodes yet. Apply a NodeSpec, or power a machine on.");
  const noticed = make("div", { class: "card", hidden: "" });
  show(make("h1", {}, "Nodes"), table, empty, noticed);
  leave = every(2000, async () => {
    const nodes = await call("Nodes");
    logout.hidden = false;
    body.replaceChildren(...nodes.map((node) => row(node, verbs)));
    table.hidden = nodes.length === 0;
    empty.hidden = nodes.length > 0;
    const events = await call("Events");
    noticed.hidden = events.length === 0;
    noticed.replaceChildren(make("h2", {}, "Noticed on the boot network"), ...events.slice(-8).reverse().map(past));
  });
}

function trouble(summary) {
  const parts = [];
  if (summary.failure) {
    parts.push(make("div", { class: "card trouble" }, make("strong", {}, summary.failure.code),
      make("pre", {}, summary.failure.cause), make("div", {}, `What to do: ${summary.failure.remedy}`)));
  }
  if (summary.missing.length > 0 || summary.code) {
    const needs = summary.missing.map((missing) => make("div", {}, `Needs ${missing.text.replaceAll(summary.code ?? "\0", "CODE")}`));
    parts.push(make("div", { class: "card needs" }, ...needs,
      make("p", {}, summary.code ? code(summary) : null, ...acts(summary, verbs))));
  }
  return parts;
}

// Agrees to exactly the plan that is on the page.
async function approvePlan(name, detail) {
  const lost = detail.plan.filter((_, line) => destroys(detail, line));
  const question = lost.length > 0 ? `What is on these disks will be lost:\n\n${lost.join("\n")}\n\nGo on?` : "Approve this plan?";
  if (!confirm(question)) return;
  try {
    await post({ plan: detail.held_plan }, "ApproveHeldPlan", name);
  } catch (error) {
    alert(`${error.message}\n${error.remedy ?? ""}`);
  }
}

function past(item) {
  return make("div", { class: "small" },
    make("span", { class: "soft number" }, `${item.time.slice(0, 19).replace("T", " ")}  `), `${item.actor}${item.from ? ` from ${item.from}` : ""}: ${item.text}`);
}

// The newest lines first, earlier ones on demand; what arrives together is shown together, for each look at the height of
// the log lays all of it out.
function liveLog(name) {
  const log = make("div", { class: "log", tabindex: "0", role: "log", "aria-label": "Live log" });
  const earlier = make("button", { class: "earlier", hidden: "", click: () => showEarlier() }, "Earlier lines");
  let first, source, timer, over = false;
  let gathered = [];

  const page = async (query) => {
    const [method, path] = address("Logs", name);
    return send([method, `${path}?${new URLSearchParams(query)}`]);
  };
  const mark = (entries) => {
    if (entries.length > 0) first = entries[0].id;
    earlier.hidden = entries.length < PAGE;
  };
  async function showEarlier() {
    earlier.disabled = true;
    try {
      const entries = await page({ tail: PAGE, before: first });
      const height = log.scrollHeight;
      log.prepend(...entries.map(entry));
      log.scrollTop += log.scrollHeight - height;
      mark(entries);
    } catch (error) {
      pulse.textContent = error.message;
    }
    earlier.disabled = false;
  }
  const flush = () => {
    timer = undefined;
    const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
    log.append(...gathered.map(entry));
    gathered = [];
    // Whoever reads further up keeps what he reads.
    const surplus = atEnd ? log.childElementCount - MOST_LINES : 0;
    if (surplus > 0) {
      [...log.children].slice(0, surplus).forEach((line) => line.remove());
      earlier.hidden = true;
    }
    if (atEnd) log.scrollTop = log.scrollHeight;
  };
  const begin = async () => {
    let entries = [];
    try {
      entries = await page({ tail: PAGE });
    } catch {
      // The stream tells from the first line on.
    }
    if (over) return;
    mark(entries);
    log.append(...entries.map(entry));
    log.scrollTop = log.scrollHeight;
    source = new EventSource(`${address("FollowLogs", name)[1]}?after=${entries.at(-1)?.id ?? 0}`);
    source.onmessage = (message) => {
      gathered.push(JSON.parse(message.data));
      timer ??= setTimeout(flush, GATHER);
    };
  };
  begin();
  return { log: make("div", {}, earlier, log), close: () => { over = true; source?.close(); clearTimeout(timer); } };
}

function node(name) {
  const title = make("h1");
  const top = make("div");
  const way = make("div", { class: "card" });
  const about = make("div", { class: "card" });
  const planned = make("div");
  let shown;
  const below = make("div");
  const { log, close } = liveLog(name);
  show(make("a", { href: "#", class: "soft small" }, "‹ all nodes"), title, top,
    make("div", { class: "columns" }, way, about), planned, below,
    make("div", { class: "card logcard" }, make("h2", {}, "Log"), log));
  const stop = every(2000, async () => {
    const detail = await call("Node", name);
    logout.hidden = false;
    title.replaceChildren(detail.summary.name, badge(detail.summary.state));
    top.replaceChildren(...trouble(detail.summary));
    way.replaceChildren(make("h2", {}, "Timeline"), timeline(detail.events, detail.summary));
    about.replaceChildren(make("h2", {}, "About"), facts(detail));
    const history = detail.history.length > 0
      ? make("div", { class: "card" }, make("h2", {}, "History"), ...detail.history.map(past)) : null;
    below.replaceChildren(...[history].filter(Boolean));
    // Made anew only when it is another one, so that nobody who reads it loses the place.
    const key = JSON.stringify([detail.plan, detail.destroys, detail.held_plan]);
    if (key !== shown) planned.replaceChildren(...[plan(detail, () => approvePlan(name, detail))].filter(Boolean));
    shown = key;
  });
  leave = () => { stop(); close(); };
}

function route() {
  leave();
  pulse.textContent = "";
  const [view, name] = location.hash.slice(1).split("/");
  if (view === "node" && name) node(decodeURIComponent(name));
  else list();
}

logout.addEventListener("click", async () => {
  await call("LogOut").catch(() => {});
  login();
});
window.addEventListener("hashchange", route);
route();
