"use strict";
// Answers wait in this browser until the server has them: nothing is lost while it is away or the page is loaded again.

const POLL = 2000, RETRY = 1000, PATIENCE = 3000; // milliseconds
const at = (id) => document.getElementById(id);
const state = { campaign: "", labels: [], worker: "", queue: [], over: false, sending: false, failing: 0 };
let outbox = [];
let unpaid = []; // answers that came too late for the budget: it may have room again, when others skip or a run goes on
const said = new Set(); // items that were answered or skipped here

const key = (name) => `sluice ${state.campaign} ${name}`;

async function post(path, body) {
  const response = await fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  const found = await response.json();
  if (!response.ok) throw Object.assign(new Error(found.error), { refused: response.status < 500, hopeless: [413, 422].includes(response.status) });
  return found;
}

function keep() {
  localStorage.setItem(key("outbox"), JSON.stringify([...unpaid, ...outbox]));
}

async function begin() {
  try {
    Object.assign(state, await post("/hello", {}));
  } catch {
    trouble("The server does not answer. This page tries again.");
    setTimeout(begin, RETRY);
    return;
  }
  trouble("");
  outbox = JSON.parse(localStorage.getItem(key("outbox")) || "[]");
  outbox.forEach((one) => said.add(one.worker + "\n" + one.task));
  showLabels();
  const name = localStorage.getItem(key("worker"));
  name ? enter(name) : show("welcome");
}

function enter(name) {
  state.worker = name;
  localStorage.setItem(key("worker"), name);
  at("who").textContent = name;
  at("who").hidden = false;
  state.queue = [];
  refill();
}

async function refill() {
  const mine = (one) => one.worker === state.worker;
  outbox.push(...unpaid.filter(mine));
  unpaid = unpaid.filter((one) => !mine(one));
  if (outbox.length) return send();
  try {
    take(await post("/queue", { campaign: state.campaign, worker: state.worker }), state.worker);
  } catch (error) {
    failed(error);
  }
}

function take(told, worker) {
  state.failing = 0;
  const [are, they] = unpaid.length === 1 ? ["is", "It is"] : ["are", "They are"];
  trouble(unpaid.length ? `The budget is used up: ${unpaid.length} of your answers ${are} not taken. ${they} kept here; load this page again when there is a larger budget.` : "");
  at("bar").style.width = `${told.items_in_all ? (100 * told.done) / told.items_in_all : 0}%`;
  at("progress").textContent = `${told.done} of ${told.items_in_all} items done, ${told.own} ${told.own === 1 ? "answer" : "answers"} by you`;
  if (worker !== state.worker) return;
  state.over = told.over;
  const shown = state.queue[0];
  state.queue = told.items.filter((item) => !said.has(worker + "\n" + item.task));
  // What somebody is reading stays, whatever the server has thought of meanwhile.
  if (shown && !state.over && !said.has(worker + "\n" + shown.task)) {
    state.queue = [shown, ...state.queue.filter((item) => item.task !== shown.task)];
  }
  draw();
}

function failed(error) {
  if (error.refused) {
    trouble(error.message);
    return;
  }
  state.failing = state.failing || Date.now();
  if (Date.now() - state.failing > PATIENCE) {
    trouble(`The server is away. ${outbox.length ? `${outbox.length} of your answers ${outbox.length === 1 ? "is" : "are"} kept here and will be sent.` : "This page tries again."}`);
  }
  setTimeout(outbox.length ? send : refill, RETRY);
}

function say(label) {
  const item = state.queue.shift();
  if (!item) return;
  outbox.push({ campaign: state.campaign, worker: state.worker, task: item.task, ...(label === null ? {} : { label }) });
  said.add(state.worker + "\n" + item.task);
  keep();
  draw();
  send();
}

async function send() {
  if (state.sending) return;
  state.sending = true;
  try {
    while (outbox.length) {
      const one = outbox[0];
      let told = null;
      try {
        told = await post("label" in one ? "/answer" : "/skip", one);
      } catch (error) {
        if (!error.hopeless) throw error; // it stays here
        trouble(error.message);
      }
      outbox.shift();
      if (told?.counted === null) unpaid.push(one);
      keep();
      if (told) take(told, one.worker);
    }
  } catch (error) {
    failed(error);
  } finally {
    state.sending = false;
  }
}

function show(id) {
  for (const part of ["welcome", "work", "rest"]) at(part).hidden = part !== id;
  if (id === "welcome") at("name").focus();
}

function draw() {
  const [item, ...next] = state.queue;
  if (!item) {
    at("headline").textContent = state.over ? "That is all. Thank you!" : "Nothing to do at the moment";
    at("said").textContent = state.over
      ? "There is nothing more for you in this campaign."
      : "Others are at work on what is left. This page looks for more by itself.";
    show("rest");
    return;
  }
  const parts = item.fields.flatMap(([name, text]) => {
    const body = document.createElement("div");
    body.textContent = text;
    body.dir = "auto";
    if (!name) return [body];
    const head = document.createElement("h2");
    head.textContent = name;
    return [head, body];
  });
  if (at("item").dataset.task !== item.task) at("item").scrollTop = 0;
  at("item").dataset.task = item.task;
  at("item").replaceChildren(...parts);
  at("next").textContent = next.length ? `${next.length} more in your queue, next: ${next[0].fields[0][1]}` : "";
  show("work");
}

function showLabels() {
  at("labels").replaceChildren(
    ...state.labels.map((label, place) => {
      const button = document.createElement("button");
      if (place < 9) {
        const mark = document.createElement("kbd");
        mark.textContent = String(place + 1);
        button.append(mark);
      }
      const name = document.createElement("span");
      name.textContent = label;
      button.append(name);
      button.addEventListener("click", () => choose(place));
      return button;
    }),
  );
}

function choose(place) {
  const button = at("labels").children[place];
  if (!button || at("work").hidden) return;
  button.blur();
  button.classList.add("taken");
  setTimeout(() => button.classList.remove("taken"), 160);
  say(state.labels[place]);
}

function trouble(text) {
  at("trouble").textContent = text;
  at("trouble").hidden = !text;
}

document.addEventListener("keydown", (event) => {
  if (at("work").hidden || event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
  if (/^[1-9]$/.test(event.key)) choose(Number(event.key) - 1);
  else if (event.key === "s") say(null);
});
at("skip").addEventListener("click", () => {
  at("skip").blur();
  say(null);
});
at("welcome").addEventListener("submit", (event) => {
  event.preventDefault();
  const name = at("name").value.trim().replace(/\s+/g, " ");
  if (name) enter(name);
});
at("who").addEventListener("click", () => {
  localStorage.removeItem(key("worker"));
  at("who").hidden = true;
  at("name").value = "";
  show("welcome");
});
setInterval(() => {
  if (state.worker && at("welcome").hidden && !state.queue.length && !state.over && !state.failing) refill();
}, POLL);
begin();
