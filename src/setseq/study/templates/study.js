// Keeps each answer as soon as it is given, plays the three videos together, and answers to keys.
// Without this script the page is a plain form with plain videos, and works.
"use strict";

const form = document.querySelector("form");
const questions = [...form.querySelectorAll("fieldset")];
const next = form.querySelector("button.main");
const state = document.getElementById("state");

// Answers: one request after the other, so that the last word arrives last.

let queue = Promise.resolve();
let isLost = false;
const saved = new Set([...form.querySelectorAll("input:checked")]);

async function send(input) {
  const { name, value } = input;
  let isSaved = false;
  try {
    const reply = await fetch(form.dataset.answers, {
      method: "POST",
      body: new URLSearchParams([[name, value]]),
      keepalive: true,
    });
    isSaved = reply.ok;
  } catch {
    // the study is not running any more
  }
  if (isSaved) saved.add(input);
  else isLost = true;
  tell();
}

function isAnswered(question) {
  return question.querySelector("input:checked") !== null;
}

function tell() {
  const done = [...saved].filter((input) => input.checked).length;
  state.classList.toggle("problem", isLost);
  if (isLost) state.textContent = "Not saved! Please call whoever runs the study.";
  else state.textContent = done ? `${done} of ${questions.length} answered and saved` : "";
}

form.addEventListener("change", (event) => {
  const input = event.target;
  saved.delete(input); // until it is sent again
  mark();
  tell();
  queue = queue.then(() => send(input));
});

// The page is left only once all is sent: a request on its way could arrive after the form, and put
// an answer back to what it was before.

let isLeaving = false;

async function leave(go) {
  if (isLeaving) return;
  isLeaving = true;
  let last;
  do {
    last = queue;
    await last;
  } while (last !== queue);
  go();
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  leave(() => form.submit());
});

for (const link of document.querySelectorAll("main a")) {
  link.addEventListener("click", (event) => {
    event.preventDefault();
    leave(() => location.assign(link.href));
  });
}

// The marked question: where the focus is, or else the first that is open.

function current() {
  const focused = questions.find((question) => question.contains(document.activeElement));
  return focused ?? questions.find((question) => !isAnswered(question));
}

function mark() {
  const marked = current();
  for (const question of questions) question.classList.toggle("marked", question === marked);
}

function go(question) {
  const target = question?.querySelector("input:checked") ?? question?.querySelector("input");
  (target ?? next).focus({ focusVisible: true });
  mark();
}

function answer(value) {
  const question = current() ?? questions.at(-1);
  const input = question.querySelector(`input[value="${value}"]`);
  if (!input) return;
  if (!input.checked) input.click();
  const later = questions.slice(questions.indexOf(question) + 1);
  go(later.find((other) => !isAnswered(other)) ?? questions.find((other) => !isAnswered(other)));
}

form.addEventListener("focusin", mark);
form.addEventListener("focusout", () => setTimeout(mark));

// Videos: all start together, and again once the longest has ended.

const videos = [...document.querySelectorAll("video")];
const play = document.getElementById("play");
const motion = matchMedia("(prefers-reduced-motion: reduce)");
let isPlaying = !motion.matches;

function run() {
  play.textContent = isPlaying ? "Pause" : "Play";
  const isOver = videos.every((video) => video.ended);
  for (const video of videos) {
    if (isOver) video.currentTime = 0;
    if (!isPlaying) video.pause();
    else if (!video.ended) video.play().catch(() => {});
  }
}

function restart() {
  for (const video of videos) video.currentTime = 0;
  isPlaying = true;
  run();
}

function toggle() {
  isPlaying = !isPlaying;
  run();
}

function complain(video) {
  video.parentElement.querySelector(".problem").hidden = false;
}

function start() {
  for (const video of videos) {
    // Tiny videos show their pixels as they are: smoothing would hide what differs.
    video.classList.toggle("tiny", video.videoWidth < 200);
    const ratio = video.videoWidth / video.videoHeight;
    if (ratio > 0) video.parentElement.style.setProperty("--ratio", ratio);
  }
  if (videos.every((video) => video.readyState >= HTMLMediaElement.HAVE_FUTURE_DATA)) run();
}

for (const video of videos) {
  video.controls = false;
  video.loop = false;
  video.addEventListener("canplay", start);
  video.addEventListener("ended", () => isPlaying && videos.every((one) => one.ended) && restart());
  video.addEventListener("error", () => complain(video));
  if (video.error) complain(video);
}
play.addEventListener("click", toggle);
document.getElementById("again").addEventListener("click", restart);
document.querySelector(".player").hidden = false;
run();
start();

// Keys; they can be switched off, for whoever speaks to the machine or hits keys by chance.

const shortcuts = document.getElementById("shortcuts");
const keys = { a: () => answer("a"), b: () => answer("b"), n: () => answer("same"), p: toggle, r: restart };

try {
  shortcuts.checked = localStorage.getItem("shortcuts") !== "off";
} catch {
  // a browser without storage asks again on each page
}
shortcuts.addEventListener("change", () => {
  try {
    localStorage.setItem("shortcuts", shortcuts.checked ? "on" : "off");
  } catch {
    // as above
  }
});
document.getElementById("keys").hidden = false;

document.addEventListener("keydown", (event) => {
  if (!shortcuts.checked || event.ctrlKey || event.altKey || event.metaKey || event.repeat) return;
  const key = event.key.toLowerCase();
  if (keys[key]) keys[key]();
  else if (questions[Number(key) - 1]) go(questions[Number(key) - 1]);
  else return;
  event.preventDefault();
});

mark();
tell();
