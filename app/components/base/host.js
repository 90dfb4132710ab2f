// Connect a component to gradio. The component's `mount` receives what `host` returns: `element` (gradio's),
// `root` (the template's only element), `trigger(event, data)` and `keep(draw)`.

export function host({ element, trigger, props, watch }, styles) {
  const sheet = document.head.appendChild(document.createElement('style'));
  sheet.textContent = `#${element.id} { ${styles} }`; // nested: for this component alone

  // Call `draw(value)` now, and again at every value that Python sends. A value is one JSON text; null stands
  // for none.
  function keep(draw) {
    const redraw = () => draw(props.value ? JSON.parse(props.value) : null);
    watch('value', redraw);
    redraw();
  }

  return { element, root: element.firstElementChild, trigger, keep };
}
