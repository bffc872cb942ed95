"use strict";

const FINER = 8; // Every pixel is averaged over this many by as many, for smooth edges.
const WAIT_MS = 120; // Between a change and the question; also the pace while one draws.
const STEP = 0.04; // An arrow key, as a share of the drawing's width.
const MOST_ROWS = 12;
const MOST_READ = 4;
const MOST_BUTTONS = 12;

const byId = (id) => document.getElementById(id);
const nats = (energy) => energy.toFixed(1).replace("-", "\u2212");
const percent = (share) => `${(100 * share).toFixed(1)} %`;

let easels = [];
let fields = [];

function element(tag, name, text = "") {
  const made = document.createElement(tag);
  made.className = name;
  made.textContent = text;
  return made;
}

/* ---- Drawings ---- */

/** Follows strokes with a pen, rounded between the points. */
function trace(context, strokes, place) {
  context.lineCap = context.lineJoin = "round";
  for (const stroke of strokes) {
    const points = stroke.map(place);
    // A line of no length is not drawn, a dot is.
    if (points.length === 1) points.push([points[0][0] + 0.1, points[0][1]]);
    context.beginPath();
    context.moveTo(...points[0]);
    for (let i = 1; i < points.length - 1; i++) {
      const [x, y] = points[i];
      const [nextX, nextY] = points[i + 1];
      context.quadraticCurveTo(x, y, (x + nextX) / 2, (y + nextY) / 2);
    }
    context.lineTo(...points[points.length - 1]);
    context.stroke();
  }
}

/** Finds the box around strokes and their centre of mass. */
function measure(strokes) {
  const xs = strokes.flat().map(([x]) => x);
  const ys = strokes.flat().map(([, y]) => y);
  const box = {
    left: Math.min(...xs), right: Math.max(...xs), top: Math.min(...ys), bottom: Math.max(...ys),
  };
  let mass = 0, x = 0, y = 0;
  for (const stroke of strokes) {
    for (let i = 0; i < stroke.length; i++) {
      const [x1, y1] = stroke[i];
      const [x0, y0] = stroke[Math.max(i - 1, 0)];
      const length = Math.hypot(x1 - x0, y1 - y0) + 1e-6;
      mass += length;
      x += length * (x0 + x1) / 2;
      y += length * (y0 + y1) / 2;
    }
  }
  return { ...box, x: x / mass, y: y / mass };
}

/** Shifts so that the centre of mass is in the middle, unless the box would leave the frame. */
function shift(size, scale, low, high, mass, margin) {
  const wanted = size / 2 - scale * mass;
  const least = margin - scale * low, most = size - margin - scale * high;
  return least > most ? (least + most) / 2 : Math.min(Math.max(wanted, least), most);
}

/** Draws strokes as the training images are drawn: in their size, thickness and place. */
function render(image, strokes) {
  const { width, height } = image;
  const canvas = document.createElement("canvas");
  canvas.width = width * FINER;
  canvas.height = height * FINER;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const pen = image.stroke * Math.min(canvas.width, canvas.height);
  const found = measure(strokes);
  // Points are in shares of the drawing's width, which shows the frame from edge to edge.
  const across = (found.right - found.left) * canvas.width;
  const down = (found.bottom - found.top) * canvas.width;
  const extent = Math.max((across + pen) / canvas.width, (down + pen) / canvas.height);
  const wanted = Math.min(Math.max(extent, image.smallest), image.largest);
  const fit = Math.min(
    across ? (wanted * canvas.width - pen) / across : Infinity,
    down ? (wanted * canvas.height - pen) / down : Infinity,
  );
  // A dot stays a dot instead of filling the frame.
  const scale = canvas.width * (extent < image.smallest / 4 ? 1 : Math.max(fit, 0));
  const dx = shift(canvas.width, scale, found.left, found.right, found.x, pen / 2);
  const dy = shift(canvas.height, scale, found.top, found.bottom, found.y, pen / 2);
  context.lineWidth = pen;
  trace(context, strokes, ([x, y]) => [x * scale + dx, y * scale + dy]);
  return average(context, width, height, image.dark);
}

/** Averages the fine pixels' ink into the bytes that a network reads. */
function average(context, width, height, dark) {
  const fine = context.getImageData(0, 0, width * FINER, height * FINER).data;
  const sums = new Float64Array(width * height);
  for (let row = 0; row < height * FINER; row++) {
    for (let column = 0; column < width * FINER; column++) {
      const pixel = Math.floor(row / FINER) * width + Math.floor(column / FINER);
      sums[pixel] += fine[4 * (row * width * FINER + column) + 3];
    }
  }
  return Uint8Array.from(sums, (sum) => {
    const ink = Math.round(sum / FINER ** 2);
    return dark ? ink : 255 - ink;
  });
}

/** Draws a picture as large as fits, in the middle. */
function drawInside(context, bitmap, width, height) {
  const scale = Math.min(width / bitmap.width, height / bitmap.height);
  const [across, down] = [bitmap.width * scale, bitmap.height * scale];
  context.drawImage(bitmap, (width - across) / 2, (height - down) / 2, across, down);
}

/** An image of the goal: its drawing, what the network sees, and how it reads it. */
class Easel {
  constructor(image) {
    this.image = image;
    this.strokes = [];
    this.picture = null; // A chosen file: its bytes in base64, and how it looks.
    this.pen = null; // The keyboard's pen: its place, and whether it is down.
    const card = byId("easel").content.cloneNode(true).firstElementChild;
    card.querySelector("h2").textContent = image.name;
    this.reads = card.querySelector(".reads");
    this.foreign = card.lastElementChild;
    this.bars = card.querySelector(".rows");
    [this.paper, this.seen] = card.querySelectorAll("canvas");
    this.energy = card.querySelector(".seen p");
    this.paper.setAttribute("aria-label", `Draw ${image.name}`);
    this.bars.setAttribute("aria-label", `Symbols of ${image.name}`);
    this.paper.width = 480;
    this.paper.height = Math.round(480 * image.height / image.width);
    const clear = card.querySelector("button");
    clear.setAttribute("aria-label", `Clear ${image.name}`);
    clear.addEventListener("click", () => { this.clear(); ask(); });
    this.file = card.querySelector("input");
    this.file.setAttribute("aria-label", `Picture for ${image.name}`);
    this.file.addEventListener("change", () => this.choose());
    this.settable = image.settable.map((one) => this.addSetting(one, card.querySelector(".fields")));
    this.listen();
    this.show(null);
    this.draw();
    byId("drawings").append(card);
  }

  get pixels() { return render(this.image, this.strokes); }

  get given() { return this.strokes.length > 0 || this.picture !== null; }

  /** Adds a field for the symbol that an image is taken to show, whatever the network sees. */
  addSetting({ atom, symbols }, fields) {
    const label = element("label", "", atom);
    const select = element("select", "");
    select.name = atom;
    select.setAttribute("aria-label", `Set ${atom}`);
    select.append(...["", ...symbols].map((value) => {
      return Object.assign(element("option", "", value || "as seen"), { value });
    }));
    select.addEventListener("change", ask);
    label.append(select);
    fields.append(label);
    return select;
  }

  /** Takes a file in place of strokes. */
  async choose() {
    const [file] = this.file.files;
    if (!file) return;
    try {
      const bitmap = await createImageBitmap(file);
      const bytes = new Uint8Array(await file.arrayBuffer());
      this.strokes = [];
      this.picture = { bitmap, text: base64(bytes) };
      this.change();
    } catch {
      say(`${file.name} is no picture that can be shown.`, "bad");
    }
  }

  /** Forgets a file, as one begins to draw. */
  drop() {
    this.picture = null;
    this.file.value = "";
  }

  listen() {
    const paper = this.paper;
    let drawing = false;
    paper.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      drawing = true;
      this.drop();
      paper.setPointerCapture(event.pointerId);
      this.strokes.push([this.place(event)]);
      this.change();
    });
    paper.addEventListener("pointermove", (event) => {
      if (!drawing) return;
      const events = event.getCoalescedEvents?.() ?? [];
      for (const one of events.length ? events : [event]) {
        this.strokes[this.strokes.length - 1].push(this.place(one));
      }
      this.change();
    });
    for (const end of ["pointerup", "pointercancel"]) {
      paper.addEventListener(end, () => { drawing = false; });
    }
    paper.addEventListener("keydown", (event) => this.key(event));
    paper.addEventListener("blur", () => { this.pen = null; this.draw(); });
  }

  /** A pointer's place in shares of the drawing's width. */
  place(event) {
    const { left, top, width } = this.paper.getBoundingClientRect();
    return [(event.clientX - left) / width, (event.clientY - top) / width];
  }

  key(event) {
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const bottom = this.image.height / this.image.width;
    this.pen ??= { at: [0.5, bottom / 2], down: false };
    if (event.key in moves) {
      const [x, y] = moves[event.key];
      const within = (value, most) => Math.min(Math.max(value, 0), most);
      this.pen.at = [
        within(this.pen.at[0] + STEP * x, 1), within(this.pen.at[1] + STEP * y, bottom),
      ];
      if (this.pen.down) this.strokes[this.strokes.length - 1].push(this.pen.at);
    } else if (event.key === " ") {
      this.pen.down = !this.pen.down;
      if (this.pen.down) {
        this.drop();
        this.strokes.push([this.pen.at]);
      }
    } else if (event.key === "Backspace") {
      this.strokes.pop();
      this.pen.down = false;
    } else {
      return;
    }
    event.preventDefault();
    this.change();
  }

  change() {
    this.draw();
    ask();
  }

  clear() {
    this.strokes = [];
    this.drop();
    for (const select of this.settable) select.value = "";
    this.pen = null;
    this.show(null);
    this.draw();
  }

  /** Draws what was drawn, in the colour of the page's ink. */
  draw() {
    const { width, height } = this.paper;
    const context = this.paper.getContext("2d");
    const colours = getComputedStyle(this.paper);
    context.clearRect(0, 0, width, height);
    if (this.picture) drawInside(context, this.picture.bitmap, width, height);
    context.strokeStyle = colours.color;
    context.lineWidth = this.image.stroke * width;
    trace(context, this.strokes, ([x, y]) => [x * width, y * width]);
    if (this.pen) {
      context.strokeStyle = colours.getPropertyValue("--accent");
      context.lineWidth = this.pen.down ? 10 : 4;
      context.beginPath();
      context.arc(this.pen.at[0] * width, this.pen.at[1] * width, 14, 0, 2 * Math.PI);
      context.stroke();
    }
    this.drawSeen();
  }

  /** Shows the pixels that the network reads. */
  drawSeen() {
    const { width, height, dark } = this.image;
    this.seen.width = width;
    this.seen.height = height;
    for (const select of this.settable) select.disabled = !this.given;
    if (this.picture) {
      drawInside(this.seen.getContext("2d"), this.picture.bitmap, width, height);
      return;
    }
    const empty = new Uint8Array(width * height).fill(dark ? 0 : 255);
    const pixels = this.strokes.length ? this.pixels : empty;
    const data = Uint8ClampedArray.from(pixels, (_, i) => i).fill(255);
    const colours = new Uint8ClampedArray(4 * data.length).fill(255);
    pixels.forEach((grey, i) => colours.fill(grey, 4 * i, 4 * i + 3));
    this.seen.getContext("2d").putImageData(new ImageData(colours, width, height), 0, 0);
  }

  /** Shows how the network reads the image; null is an image that is not drawn. */
  show(reading) {
    const symbols = this.image.symbols;
    const shares = reading?.probabilities ?? {};
    const least = Object.values(shares).sort((a, b) => b - a)[MOST_ROWS - 1] ?? 0;
    const shown = symbols.filter((symbol) => (shares[symbol] ?? 0) >= least).slice(0, MOST_ROWS);
    fill(this.bars, shown.map((symbol) => [symbol, shares[symbol] ?? 0, symbol === reading?.symbol]));
    this.reads.textContent = reading ? reading.doubt || `reads ${reading.symbol}` : "not drawn";
    this.energy.textContent = reading
      ? `energy ${nats(reading.energy)}, usual below ${nats(reading.energy_limit)}`
      : "what the network sees";
    this.foreign.hidden = !reading?.out_of_distribution;
    this.seen.setAttribute("aria-label", reading
      ? `${this.image.name} as the network sees it, read as ${reading.symbol}`
      : `${this.image.name} is not drawn`);
  }
}

/* ---- Asking and showing ---- */

/** Fills a list with bars; rows that are there already are kept, so that bars move. */
function fill(list, rows) {
  while (list.children.length > rows.length) list.lastElementChild.remove();
  rows.forEach(([label, share, best], i) => {
    if (!list.children[i]) {
      const row = element("li", "");
      const track = element("span", "track");
      track.append(element("span", "bar"));
      row.append(element("span", "label"), track, element("span", "share"));
      list.append(row);
    }
    const row = list.children[i];
    row.className = best ? "best" : "";
    row.children[0].textContent = label;
    row.children[1].firstElementChild.style.width = `${100 * share}%`;
    row.children[2].textContent = percent(share);
  });
}

function say(text, kind) {
  const status = byId("status");
  if (status.textContent !== text) status.textContent = text;
  status.className = `verdict ${kind}`;
}

async function fetchJson(path, options = {}) {
  const reply = await fetch(path, options);
  const value = await reply.json();
  if (!reply.ok) throw new Error(value.error);
  return value;
}

const base64 = (bytes) => btoa(Array.from(bytes, (one) => String.fromCharCode(one)).join(""));
const post = (path, asked) => fetchJson(path, {
  method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(asked),
});
const texts = (pairs) => Object.fromEntries(pairs);

function request() {
  const drawn = easels.filter((easel) => easel.strokes.length);
  const chosen = easels.filter((easel) => easel.picture);
  const set = easels.flatMap((easel) => easel.given ? easel.settable : []).filter((one) => one.value);
  const held = fields.filter((field) => field.value.trim());
  const known = byId("known").value.split(";").map((one) => one.trim());
  return {
    drawings: texts(drawn.map((one) => [one.image.name, base64(one.pixels)])),
    pictures: texts(chosen.map((one) => [one.image.name, one.picture.text])),
    values: texts(held.map((one) => [one.name, one.value.trim()])),
    fixed: texts(set.map((one) => [one.name, one.value])),
    evidence: known.filter(Boolean),
  };
}

let timer = null, busy = false, stale = false;

/** Asks soon; changes that come while a question is out are asked about once it is answered. */
function ask() {
  stale = true;
  byId("answers").setAttribute("aria-busy", "true");
  if (timer === null && !busy) timer = setTimeout(send, WAIT_MS);
}

async function send() {
  timer = null;
  busy = true;
  stale = false;
  const asked = request();
  try {
    const answered = easels.some((one) => one.given) ? await post("answer", asked) : null;
    if (!stale) show(answered);
  } catch (error) {
    say(error instanceof TypeError ? "The server does not answer; is it still running?"
      : error.message, "bad");
  }
  busy = false;
  if (stale) ask();
  else byId("answers").removeAttribute("aria-busy");
}

const named = (values) => Object.entries(values).map(([name, value]) => `${name} = ${value}`);

function show(answered) {
  const images = answered?.images ?? {};
  for (const easel of easels) {
    const { name, network } = easel.image;
    easel.show(images[name] ?? images[`${name} (${network})`] ?? null);
  }
  const answers = answered?.answers ?? [];
  const label = (answer) => named(answer.values).join(", ") || "it holds";
  fill(byId("answers"), answers.map((answer, i) => [label(answer), answer.probability, i === 0]));
  byId("note").textContent = answered
    ? [answered.rest, answered.note, answered.problem].filter(Boolean).join(" ")
    : "Nothing is drawn yet.";
  const words = answered?.explanation ?? [];
  byId("why").replaceChildren(...(words.length ? words.map((text) => element("p", "", text))
    : [element("p", "muted", "The most probable proof stands here once there is an answer.")]));
  sum(answered, images, answers.length ? label(answers[0]) : null);
}

/** Says what was found in one sentence. */
function sum(answered, images, best) {
  if (!answered) return say("Draw to begin.", "idle");
  if (answered.problem) return say(answered.problem.split("\n")[0], "bad");
  const read = Object.entries(images).map(
    ([name, reading]) => `${name} ${reading.doubt ? "is in doubt" : `reads ${reading.symbol}`}`,
  );
  const few = read.length <= MOST_READ ? `${read.join(", ")}: ` : "";
  if (!best) return say(few + answered.note, "idle");
  const share = answered.answers[0].probability;
  const foreign = Object.values(images).some((reading) => reading.out_of_distribution);
  const found = share < 0.5 ? `only ${percent(share)} for "${best}"` : `${best}, ${percent(share)}`;
  return say(few + found, foreign || share < 0.5 ? "warning" : "good");
}

/* ---- Labels ---- */

/** Shows the images whose labels leave one meaning of the symbols. */
function offer({ maps, images }) {
  byId("unsure").hidden = !images.length && byId("unsure").hidden;
  byId("left").textContent = images.length
    ? `${maps} readings of the symbols are left. What do these images show?`
    : "One reading of the symbols is left.";
  byId("unsure").querySelector(".asked").replaceChildren(...images.map(askedFor));
}

/** An image with a button for every symbol, or a list of them where they are many. */
function askedFor({ image, symbols, picture }, number) {
  const item = element("li", "");
  item.append(Object.assign(element("img", ""), { src: picture, alt: `Image ${number + 1} to label` }));
  if (symbols.length <= MOST_BUTTONS) {
    for (const symbol of symbols) {
      const button = Object.assign(element("button", "", symbol), { type: "button" });
      button.setAttribute("aria-label", `Image ${number + 1} shows ${symbol}`);
      button.addEventListener("click", () => teach(image, symbol));
      item.append(button);
    }
    return item;
  }
  const select = element("select", "");
  select.setAttribute("aria-label", `What image ${number + 1} shows`);
  select.append(...["", ...symbols].map((one) => element("option", "", one)));
  select.addEventListener("change", () => select.value && teach(image, select.value));
  item.append(select);
  return item;
}

async function teach(image, symbol) {
  const held = byId("unsure").querySelectorAll("button, select");
  for (const one of held) one.disabled = true;
  try {
    offer(await post("label", { image, symbol }));
    ask();
  } catch (error) {
    byId("left").textContent = error.message;
    for (const one of held) one.disabled = false;
  }
}

function addField({ name, values }) {
  const label = element("label", "", name);
  const input = element("input", "");
  const list = element("datalist", "");
  input.name = name;
  input.placeholder = "free";
  input.autocomplete = "off";
  input.setAttribute("list", list.id = `values-${fields.length}`);
  list.append(...values.map((value) => Object.assign(element("option", ""), { value })));
  input.addEventListener("input", ask);
  label.append(input, list);
  byId("given").querySelector(".fields").append(label);
  byId("given").hidden = false;
  fields.push(input);
}

async function start() {
  try {
    const run = await fetchJson("run.json");
    document.title = `${run.goal} - groundkit demo`;
    byId("goal").textContent = run.goal;
    byId("run").textContent = `Run ${run.run}`;
    byId("program").textContent = run.program;
    easels = run.images.map((image) => new Easel(image));
    run.observed.forEach(addField);
    show(null);
    offer(await post("suggest", {}));
  } catch (error) {
    say(error.message, "bad");
  }
}

byId("known").addEventListener("input", ask);
byId("again").addEventListener("click", () => {
  for (const easel of easels) easel.clear();
  for (const field of [...fields, byId("known")]) field.value = "";
  ask();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  for (const easel of easels) easel.draw();
});
start();
