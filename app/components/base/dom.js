// Makes and changes elements. Text is added as text nodes, never as markup.

export function make(tag, attributes = {}, ...children) {
  return set(document.createElement(tag), attributes, ...children);
}

// Makes an SVG element.
export function shape(tag, attributes = {}, ...children) {
  return set(document.createElementNS('http://www.w3.org/2000/svg', tag), attributes, ...children);
}

// Changes attributes, and replaces the children if any are given. `true` sets an attribute without
// a value; `false`, null and undefined remove it. A name that begins with -- is a custom property.
// Children that are false are left out.
export function set(node, attributes, ...children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith('--')) node.style.setProperty(name, value);
    else if (value === false || value === null || value === undefined) node.removeAttribute(name);
    else node.setAttribute(name, value === true ? '' : value);
  }
  if (children.length) node.replaceChildren(...children.filter(Boolean));
  return node;
}

// Makes a 16 x 16 icon from a path that is drawn and a path that is filled.
export function icon(line, filled) {
  return shape(
    'svg',
    { viewBox: '0 0 16 16', class: 'cl-ic', 'aria-hidden': 'true' },
    shape('path', { d: line }),
    filled && shape('path', { d: filled, fill: 'currentColor' }),
  );
}
