export const PATIENCE = 4000; // milliseconds until a question without a drawn answer counts as answered

// Send an event to Python while a visitor drags something, one at a time. Of the events that come meanwhile
// only the newest is sent, after `answered()` was called: once the answer is drawn. An answer that changes
// nothing is never drawn, so the wait ends after PATIENCE. That is long, because a slow answer must not be
// overtaken by the next. `idle()` is called when no question is left.
export function asking(trigger, event, idle = () => {}) {
  let asked = null;
  let next = null;
  let timer = 0;

  function send(data) {
    asked = data;
    next = null;
    clearTimeout(timer);
    timer = setTimeout(answered, PATIENCE);
    trigger(event, data);
  }

  function answered() {
    clearTimeout(timer);
    asked = null;
    if (next) send(next);
    else idle();
  }

  function ask(data) {
    if (asked) next = data;
    else send(data);
  }

  return { ask, answered, latest: () => next ?? asked };
}
