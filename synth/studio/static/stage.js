// The picture, fitted into its box, with the mesh over it.

export class Stage {
  constructor(ui) {
    this.ui = ui;
    this.meshOn = false;
    this.photo = null;
    this.wanted = 0;
    this.shown = 0;
    new ResizeObserver(() => this.fit()).observe(ui.stage);
  }

  setPhoto(photo) {
    this.photo = photo;
    [this.ui.picture.width, this.ui.picture.height] = photo.preview;
    this.points = null;
    this.ui.empty.hidden = true;
    this.ui.frame.hidden = false;
    this.fit();
  }

  fit() {
    if (!this.photo) return;
    const [width, height] = this.photo.preview, box = this.ui.stage;
    const scale = Math.min(box.clientWidth / width, box.clientHeight / height);
    this.ui.frame.style.width = `${Math.floor(width * scale)}px`;
    this.ui.frame.style.height = `${Math.floor(height * scale)}px`;
    // The mesh has the screen's own pixels: thin lines stay thin.
    this.scale = (Math.floor(width * scale) / width) * devicePixelRatio;
    this.ui.mesh.width = Math.round(width * this.scale);
    this.ui.mesh.height = Math.round(height * this.scale);
    this.drawMesh(this.points);
  }

  // Decoding takes a moment: an older picture never replaces a newer one.
  async show(frame) {
    const turn = ++this.wanted;
    const bitmap = await createImageBitmap(frame.blob);
    if (turn > this.shown) {
      this.shown = turn;
      const context = this.ui.picture.getContext("2d");
      if (bitmap.width === this.ui.picture.width && bitmap.height === this.ui.picture.height) {
        context.drawImage(bitmap, 0, 0);
        this.drawMesh(frame.points);
      }
      this.ui.picture.dataset.shown = Number(this.ui.picture.dataset.shown || 0) + 1;
    }
    bitmap.close();
  }

  drawMesh(points) {
    this.points = points;
    const canvas = this.ui.mesh, context = canvas.getContext("2d");
    context.clearRect(0, 0, canvas.width, canvas.height);
    if (!this.meshOn || !points) return;
    context.beginPath();
    const { edges } = this.photo, { scale } = this;
    for (let i = 0; i < edges.length; i += 2) {
      const a = 2 * edges[i], b = 2 * edges[i + 1];
      // Pixel centres are whole numbers in the data, and halves on a canvas.
      context.moveTo((points[a] + 0.5) * scale, (points[a + 1] + 0.5) * scale);
      context.lineTo((points[b] + 0.5) * scale, (points[b + 1] + 0.5) * scale);
    }
    context.lineWidth = 0.7 * Math.max(1, devicePixelRatio * 0.75);
    context.strokeStyle = "rgba(110, 235, 255, 0.48)";
    context.stroke();
  }
}
