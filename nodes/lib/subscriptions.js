'use strict';
/** Events of queues for many listeners over one link, which has one subscription: of a queue, or of all (`*`). */

const EVERY_KIND = ['*', 'expired']; // all that the hub tells unasked, and what it tells only to those who name it

class Subscriptions {
  constructor(link) {
    this.link = link;
    this.listeners = new Set();
    this.current = null;
    this.answer = Promise.resolve(); // to what was asked last
    link.on('event', (event) => this.tell(event));
    link.on('down', () => {
      this.current = null;
    });
  }

  /** Hear the events of a queue, or of all with `*`; refused(error) when the hub will not tell. Returns what ends it. */
  add(queue, receive, refused) {
    const listener = { queue, receive, refused };
    this.listeners.add(listener);
    if (!this.renew()) {
      this.answer.catch((error) => this.listeners.has(listener) && this.refuse(error, [listener])); // as the others were
    }
    return () => {
      this.listeners.delete(listener);
      this.renew();
    };
  }

  /** Ask for what is wanted now. Whether it has to be asked. */
  renew() {
    const queues = new Set([...this.listeners].map((listener) => listener.queue));
    const wanted = queues.size === 0 ? null : queues.size === 1 ? [...queues][0] : '*';
    if (!this.link.up || wanted === this.current) {
      return false;
    }
    this.current = wanted;
    this.answer = wanted === null ? this.link.request('UnsubscribeEvents') : this.link.request('SubscribeEvents', { queue: wanted, kinds: EVERY_KIND });
    this.answer.catch((error) => this.refuse(error, this.listeners));
    return true;
  }

  refuse(error, listeners) {
    for (const { refused } of listeners) {
      if (error.code !== 'HQ_OFFLINE') {
        refused(error);
      }
    }
  }

  tell(event) {
    for (const { queue, receive } of this.listeners) {
      if (queue === '*' || queue === event.queue || event.eventType === 'gap') {
        receive(event);
      }
    }
  }
}

module.exports = { Subscriptions };
