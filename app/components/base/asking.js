// milliseconds after which a question counts as answered even if no answer was drawn
export const PATIENCE = 4000;

// Sends events to Python while a visitor drags, one event at a time. Of the events that arrive
// while one is unanswered, only the newest is sent, after `answered()` was called because the
// answer is drawn. An answer that changes nothing is never drawn, so the wait ends after PATIENCE.
// This time is long, because the next answer must not overtake a slow one. `idle()` is called when
// no question is open any more.
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
