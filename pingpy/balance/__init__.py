"""Balancing for programs: what a custom balancer is, and the algorithms over peers that a hook may choose from."""

from pingpy.balance.balancer import Balancer, PeerChooser
from pingpy.balance.ketama import Ketama
from pingpy.balance.least_busy import LeastBusy
from pingpy.balance.round_robin import RoundRobin

__all__ = ["Balancer", "Ketama", "LeastBusy", "PeerChooser", "RoundRobin"]
