#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action `topology`, which does all the work on the controller."""

DOCUMENTATION = r"""
module: topology
short_description: Validate the declared networks and routers and derive everything that follows from them
version_added: 0.1.0
description:
  - Turns the C(multiverse_*) variables into one complete topology, the fact C(multiverse_topology), that every role of
    this collection works from.
  - Reports everything that is wrong with them at once, one line for each problem, before anything has been touched.
  - Addresses, MACs, ranges, start order and everything else that is not written are derived. C(docs/topology.md) has
    every key, default and rule.
  - Runs on the controller. On universe it only reads routes, addresses and devices, to keep the declared subnets and
    names apart from them and to find the default uplink.
author:
  - The Multiverse OS authors (@multiverse-os)
requirements:
  - netaddr, in the Python environment that Ansible runs in
  - iproute2 on universe
extends_documentation_fragment:
  - multiverse.router_controller.attributes
attributes:
  diff_mode:
    support: none
    details: It changes nothing, so there is no difference to show.
options:
  networks:
    description:
      - The networks, each one bridge with one subnet.
      - Keys are V(name), V(subnet), V(address), V(mac), V(host_access), V(dhcp), V(forward) and V(uplink).
    type: list
    elements: dict
    required: true
  routers:
    description:
      - The routers, each a virtual machine between two networks.
      - Keys are V(name), V(upstream), V(downstream), V(egress), V(upstream_address), V(downstream_address),
        V(upstream_mac), V(downstream_mac), V(clients), V(memory), V(ephemeral), V(packages), V(base_files) and
        V(links).
    type: list
    elements: dict
    required: true
  pools:
    description:
      - Where the four pools V(base-images), V(os-images), V(portal-images) and V(network-controller) are.
      - Those not written are below C(/var/lib/multiverse).
    type: list
    elements: dict
    default: []
  user:
    description: The user that routers run as.
    type: str
    default: multiverse
  libvirt_uri:
    description: The libvirt that runs them.
    type: str
    choices: ['qemu:///session', 'qemu:///system']
    default: qemu:///session
  alpine:
    description:
      - The Alpine release that routers are made of.
      - Keys are V(release), V(image), V(sha512) and V(keys).
    type: dict
    default: {}
  alpine_mirror:
    description: The Alpine mirror, an http or https URL.
    type: str
    default: https://dl-cdn.alpinelinux.org/alpine
"""

EXAMPLES = r"""
- name: Validate the topology
  multiverse.router_controller.topology:
    networks: "{{ multiverse_networks }}"
    routers: "{{ multiverse_routers }}"

- name: Validate it, with another mirror and another place for the images
  multiverse.router_controller.topology:
    networks: "{{ multiverse_networks }}"
    routers: "{{ multiverse_routers }}"
    pools:
      - name: portal-images
        path: /srv/portal-images
    alpine_mirror: https://mirror.example.org/alpine
"""

RETURN = r"""
ansible_facts:
  description: The fact that is set.
  returned: success
  type: dict
  contains:
    multiverse_topology:
      description:
        - The complete topology. Every key is always there.
        - C(start_order) lists the names of the routers by stage, those that may start together in one list.
      returned: success
      type: dict
      sample:
        networks:
          - name: universe0
            subnet: 10.0.0.0/24
            address: 10.0.0.1
            prefix: 24
            netmask: 255.255.255.0
            mac: "00:00:10:00:00:01"
            host_access: true
            dhcp: {first: 10.0.0.2, last: 10.0.0.254}
            forward: nat
            uplink: ens12
            reservations:
              - {name: galaxy, mac: "00:00:10:00:00:02", address: 10.0.0.2}
            server: null
        start_order: [[galaxy], [star]]
msg:
  description: Everything that is wrong, one line for each problem.
  returned: failure
  type: str
  sample: |-
    The topology has 2 problems; nothing was changed:
    - network galaxy0, subnet: "10.1.1.5/24" has host bits set; write 10.1.1.0/24
    - router star, upstream: "galaxy1" is not a declared network; did you mean galaxy0?
"""
