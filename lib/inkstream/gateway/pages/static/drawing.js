// A canvas to draw on with mouse, finger or pen. Strokes are kept as points, so that each can be taken back,
// and a change of size or a look at another tab loses nothing.

const PEN = 1 / 15; // the pen's width, as a share of the canvas: what a marker is on a page for one digit
const SIDE = 560; // pixels of the picture that is sent, whatever the screen

export class Drawing {
  #canvas;
  #changed;
  #strokes = [];
  #pointer = null;

  /** changed(empty) is called after each change. */
  constructor(canvas, changed) {
    this.#canvas = canvas;
    this.#changed = changed;
    canvas.addEventListener("pointerdown", (event) => this.#begin(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, (event) => this.#end(event));
    new ResizeObserver(() => this.#paint()).observe(canvas);
  }

  get empty() {
    return this.#strokes.length === 0;
  }

  undo() {
    this.#strokes.pop();
    this.#update();
  }

  clear() {
    this.#strokes = [];
    this.#update();
  }

  /** The drawing as a PNG, black on white. */
  async picture() {
    const sheet = document.createElement("canvas");
    sheet.width = sheet.height = SIDE;
    const pen = sheet.getContext("2d");
    pen.fillStyle = "#fff";
    pen.fillRect(0, 0, SIDE, SIDE);
    draw(pen, this.#strokes, SIDE, "#111");
    const blob = await new Promise((done) => sheet.toBlob(done, "image/png"));
    return new File([blob], "drawing.png", { type: "image/png" });
  }

  #begin(event) {
    if (this.#pointer !== null || event.button > 0) return; // a second finger, or another mouse button
    event.preventDefault();
    document.activeElement?.blur(); // which preventDefault() keeps: Enter would follow a link instead of reading
    this.#pointer = event.pointerId;
    this.#canvas.setPointerCapture(event.pointerId);
    this.#strokes.push([this.#place(event)]);
    this.#update();
  }

  #move(event) {
    if (event.pointerId !== this.#pointer) return;
    const passed = event.getCoalescedEvents?.() ?? [];
    for (const each of passed.length ? passed : [event]) this.#strokes.at(-1).push(this.#place(each));
    this.#paint();
  }

  #end(event) {
    if (event.pointerId === this.#pointer) this.#pointer = null;
  }

  /** Where the pointer is, 0..1 of the canvas. */
  #place(event) {
    const area = this.#canvas.getBoundingClientRect();
    return [(event.clientX - area.left) / area.width, (event.clientY - area.top) / area.height];
  }

  #update() {
    this.#paint();
    this.#changed(this.empty);
  }

  #paint() {
    const side = Math.round(this.#canvas.clientWidth * devicePixelRatio);
    if (side === 0) return;
    if (this.#canvas.width !== side) this.#canvas.width = this.#canvas.height = side;
    const pen = this.#canvas.getContext("2d");
    pen.clearRect(0, 0, side, side);
    draw(pen, this.#strokes, side, "#16202c");
  }
}

function draw(pen, strokes, side, colour) {
  pen.strokeStyle = colour;
  pen.lineCap = pen.lineJoin = "round";
  pen.lineWidth = side * PEN;
  for (const stroke of strokes) {
    pen.beginPath();
    pen.moveTo(stroke[0][0] * side, stroke[0][1] * side);
    for (let n = 1; n < stroke.length; n++) {
      // Through the middles of the points, so that a fast hand leaves curves and not corners.
      const [x, y] = stroke[n - 1];
      const [nextX, nextY] = stroke[n];
      pen.quadraticCurveTo(x * side, y * side, ((x + nextX) / 2) * side, ((y + nextY) / 2) * side);
    }
    const [x, y] = stroke.at(-1);
    pen.lineTo(x * side, y * side);
    pen.stroke();
  }
}
