/** The mouse, the pen and the finger on the stage. */

export function listenToPointer(viewer) {
  const { stage } = viewer;
  let last = null;
  let pans = false;
  const position = (event) => {
    const box = stage.getBoundingClientRect();
    return { x: (event.clientX - box.left) * devicePixelRatio, y: (event.clientY - box.top) * devicePixelRatio };
  };
  stage.addEventListener("pointerdown", (event) => {
    stage.setPointerCapture(event.pointerId);
    last = position(event);
    pans = event.shiftKey || event.button === 1 || event.button === 2;
    stage.classList.toggle("panning", pans);
    viewer.root.focus({ preventScroll: true });
    event.preventDefault();
  });
  stage.addEventListener("pointermove", (event) => {
    const now = position(event);
    viewer.point(now.x, now.y);
    if (!last) return;
    const dx = now.x - last.x;
    const dy = now.y - last.y;
    if (pans) viewer.pan(dx, dy);
    else viewer.dragWindow(dx / devicePixelRatio, dy / devicePixelRatio);
    last = now;
  });
  const release = () => {
    last = null;
    stage.classList.remove("panning");
  };
  stage.addEventListener("pointerup", release);
  stage.addEventListener("pointercancel", release);
  stage.addEventListener("pointerleave", () => viewer.point(null, null));
  stage.addEventListener("contextmenu", (event) => event.preventDefault());
  stage.addEventListener("dblclick", () => viewer.fit());
  stage.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 30 : 1;
      const at = position(event);
      viewer.zoom(Math.exp(-event.deltaY * lines * 0.0015), at.x, at.y);
    },
    { passive: false },
  );
}
