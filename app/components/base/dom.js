// Put before every component's script: elements are made here. Text goes in as text nodes, never as markup.
const root = element.firstElementChild;
const sheet = document.head.appendChild(document.createElement('style'));
sheet.textContent = `#${element.id} { ${styles} }`; // nested: they hold within this component alone

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

// Draw now, and again whenever Python sends another value. A value is JSON in one text; none arrives as null or "".
function keep(draw) {
  const redraw = () => draw(props.value ? JSON.parse(props.value) : null);
  watch('value', redraw);
  redraw();
}

// Questions to Python while something moves: one at a time; of those that come meanwhile only the newest is asked, once the
// answer is drawn. An answer that changes nothing is not drawn, so waiting has an end; a slow one must not be overtaken, so it is long.
const PATIENCE = 4000; // milliseconds
function asking(name, idle = () => {}) {
  let asked = null, next = null, late = 0;
  const send = (data) => {
    asked = data;
    next = null;
    clearTimeout(late);
    late = setTimeout(answered, PATIENCE);
    trigger(name, data);
  };
  function answered() {
    clearTimeout(late);
    asked = null;
    if (next) send(next);
    else idle();
  }
  return { answered, ask: (data) => { if (asked) next = data; else send(data); }, latest: () => next ?? asked };
}
