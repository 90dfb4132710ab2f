// Connects a component to gradio. The component's `mount` receives the result of `host`: `element`
// (gradio's element), `root` (the template's only element), `trigger(event, data)` and
// `keep(draw)`.

export function host({ element, trigger, props, watch }, styles) {
  const sheet = document.head.appendChild(document.createElement('style'));
  // nested, so that the styles apply to this component only
  sheet.textContent = `#${element.id} { ${styles} }`;

  // Calls `draw(value)` now, and again for every value that Python sends. A value is one JSON text;
  // null means that there is no value.
  function keep(draw) {
    const redraw = () => draw(props.value ? JSON.parse(props.value) : null);
    watch('value', redraw);
    redraw();
  }

  return { element, root: element.firstElementChild, trigger, keep };
}
