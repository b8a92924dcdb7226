'use strict';
/**
 * Forwarders whose node is gone or uses another hub now. They retire as soon as their hub can be told; while it is away
 * they are kept here, for the next forward node that reaches it. A restart of Node-RED forgets them: the log says how else.
 */

const partings = new Map(); // by server node: Uplinks
const homes = new Map(); // by forward node: { server, uplink }

const of = (server) => partings.get(server) || [];

/** A node uses this hub now. What it had on another one is left there. */
function arrive(node, server, uplink) {
  partings.set(server, of(server).filter(({ base }) => base !== uplink.base)); // the node is back
  const before = homes.get(node.id);
  homes.set(node.id, { server, uplink });
  return before && before.server !== server ? before : undefined;
}

/** The forwarders of an Uplink are wanted no more on this hub, which may be away. */
async function part(node, server, hub, uplink) {
  partings.set(server, [...of(server), uplink]);
  await settle(server, hub, node);
  if (of(server).includes(uplink)) {
    node.warn(`the hub keeps its forwarder for now. If it does not go by itself: hubqueue forward remove ${uplink.base} --when-empty`);
  }
}

/** The hub is there: tell it what is wanted no more. */
async function settle(server, hub, node) {
  for (const uplink of hub?.up ? of(server) : []) {
    try {
      uplink.ask = (...asked) => hub.ask(...asked);
      for (const { name, waiting, delayed, inFlight } of await uplink.retireAll()) {
        node.log(`the forwarder goes when its messages have arrived name=${name} waiting=${waiting + delayed + inFlight}`);
      }
      partings.set(server, of(server).filter((each) => each !== uplink));
    } catch (error) {
      if (uplink.told !== error.message) {
        uplink.told = error.message; // once, it is tried again every few seconds
        node.log(`the hub still has a forwarder that is wanted no more name=${uplink.base} error=${error.message}`);
      }
    }
  }
}

/** The node is gone for good. */
function forget(node) {
  homes.delete(node.id);
}

module.exports = { arrive, part, settle, forget };
