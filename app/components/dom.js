// Put before every component's script: elements are made here. Text goes in as text nodes, never as markup.
const root = element.firstElementChild;

function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  return set(node, attributes, ...children);
}

function shape(tag, attributes = {}, ...children) {
  const node = document.createElementNS('http://www.w3.org/2000/svg', tag);
  return set(node, attributes, ...children);
}

// true, false and null stand for an attribute that is there or not; names with -- are custom properties.
function set(node, attributes, ...children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith('--')) node.style.setProperty(name, value);
    else if (value === false || value === null || value === undefined) node.removeAttribute(name);
    else node.setAttribute(name, value === true ? '' : value);
  }
  if (children.length) node.replaceChildren(...children.filter(Boolean));
  return node;
}

function icon(line, filled) {
  return shape('svg', { viewBox: '0 0 16 16', class: 'cl-ic', 'aria-hidden': 'true' }, shape('path', { d: line }),
    filled && shape('path', { d: filled, fill: 'currentColor' }));
}

// Draw now, and again whenever Python sends another value. No value arrives as null or as "" and is drawn as null.
function keep(draw) {
  const redraw = () => draw(props.value || null);
  watch('value', redraw);
  redraw();
}
