"""One seed: a world, its faults, and the invariants after every step."""

from collections.abc import Callable

from cluster_runtime.errors import QuorumLostError, StorageError
from cluster_runtime.storage.core.batch import Batch
from cluster_runtime.storage.core.durability import Opening, read_point
from cluster_runtime.storage.core.quorum import READ_QUORUM, WRITE_QUORUM, Membership
from cluster_runtime.storage.core.types import AZS, SEGMENT_IDS, Epoch, SegmentId
from cluster_runtime.storage.simulation.node import Node
from cluster_runtime.storage.simulation.scheduler import Scheduler
from cluster_runtime.storage.simulation.writer import SimulatedWriter

STEPS = 700
HALVES_EVERY = 8
"""In each run of so many, one half of the segments answers and then the other, again and again."""


class Violation(AssertionError):
    """An invariant does not hold. The text ends with the command that shows it again."""


class World:
    """Six nodes, writers that come and go, and what has been promised to clients."""

    def __init__(
        self, seed: int, trace: Callable[[str], None] | None = None, mutation: str | None = None
    ) -> None:
        self.seed = seed
        self.mutation = mutation
        self.scheduler = Scheduler(seed, trace)
        self.nodes: dict[SegmentId, Node] = {}
        self.writers: list[SimulatedWriter] = []
        self.promised: list[Batch] = []
        self.shown: list[Batch] = []
        self.shown_at = Epoch(0)
        for segment in SEGMENT_IDS:
            self.add_node(segment)
        self.take_over()
        storm = self.scheduler.storm
        self.scheduler.sometimes(storm.crash_every, self.crash_node)
        self.scheduler.sometimes(storm.az_every, self.lose_az)
        self.scheduler.sometimes(storm.corrupt_every, self.corrupt)
        self.scheduler.sometimes(storm.corrupt_every, self.lose_disk)
        self.scheduler.sometimes(storm.takeover_every, self.take_over)
        self.scheduler.sometimes(storm.replace_every, self.replace)
        self.scheduler.sometimes(min(storm.replace_every, 4.0), self.check_az_and_one_more)
        self.scheduler.sometimes(storm.takeover_every * 2, self.open_for_readers)
        if seed % HALVES_EVERY == 0:
            self.scheduler.sometimes(storm.takeover_every, self.part_halves)

    # faults ----------------------------------------------------------------------------------

    def add_node(self, segment: SegmentId, epoch: Epoch = Epoch(0)) -> None:
        """A new segment, or a new one of a name that an older writer has given to a candidate."""
        if segment not in self.nodes:
            self.nodes[segment] = Node(segment, self.scheduler, self.nodes.values)
            return
        node = self.nodes[segment]
        if node.lost or node.core.promised < epoch:
            node.begin_anew()

    def remove_node(self, segment: SegmentId) -> None:
        """No membership names it any more: its disk is put to other use."""
        self.nodes[segment].lose()

    def take_over(self) -> None:
        """A new writer opens the volume; the old one may not know, or may be dead."""
        if self.writers and self.scheduler.rng.random() < 0.5:
            self.writers[-1].alive = False
        self.writers.append(
            SimulatedWriter(
                self.scheduler,
                self.nodes,
                self.add_node,
                self.remove_node,
                self.became_durable,
                self.check_members,
            )
        )

    def crash_node(self) -> None:
        """A node loses what it had not synced, and comes back after a while."""
        node = self.scheduler.rng.choice(list(self.nodes.values()))
        node.crash()
        self.scheduler.after(self.scheduler.rng.random() * 20, node.restart)

    def lose_az(self) -> None:
        """The nodes of a zone cannot be reached for a while."""
        lost = self.scheduler.rng.choice(AZS)
        for node in self.nodes.values():
            if node.az == lost:
                node.reachable = False
        self.scheduler.after(self.scheduler.rng.random() * 30, self.heal_az, lost)

    def heal_az(self, az: str) -> None:
        """The nodes of a zone can be reached again."""
        for node in self.nodes.values():
            if node.az == az:
                node.reachable = True

    def corrupt(self) -> None:
        """Damage one copy; never a second one before the first is whole again."""
        self.note_repairs()
        if not self.wounded:
            self.shown = []  # three copies are too few for a loss on top of what does not answer
            self.scheduler.rng.choice(list(self.nodes.values())).corrupt()

    def lose_disk(self) -> None:
        """Lose one copy for good; never a second one before the first was replaced."""
        self.note_repairs()
        if not self.wounded:
            self.shown = []
            self.nodes[self.scheduler.rng.choice(self.newest_membership.segments)].lose()

    @property
    def wounded(self) -> bool:
        """Whether a copy is damaged, or lost and not yet replaced."""
        return any(
            node.damaged and (not node.lost or node.core.id in self.newest_membership.segments)
            for node in self.nodes.values()
        )

    @property
    def newest_membership(self) -> Membership:
        """The newest membership that a segment knows of."""
        return max((node.core.membership for node in self.nodes.values()), key=_version)

    def note_repairs(self) -> None:
        """A damaged copy is whole again once it holds all that it had ever acknowledged."""
        promised = self.promised[-1].end if self.promised else 0
        for node in self.nodes.values():
            below = node.damaged_below
            if below is not None and node.core.scl >= max(promised, below):
                node.damaged_below = None

    def replace(self) -> None:
        """A writer begins or takes back the replacement of a segment."""
        for writer in self.writers[-2:]:
            if writer.volume is not None and self.scheduler.rng.random() < 0.5:
                members = writer.volume.membership.sets[0]
                writer.replace(self.scheduler.rng.choice(members))
            else:
                writer.look()

    def open_for_readers(self) -> None:
        """Only three of six answer, whichever they are."""
        if self.wounded:
            return
        members, newest = self._members_up()
        answering = self.scheduler.rng.sample(members, min(len(members), READ_QUORUM))
        self._show(answering, newest)

    def part_halves(self) -> None:
        """For a while the writer reaches three segments alone; then halves answer in turn."""
        members, _ = self._members_up()
        away = self.scheduler.rng.sample(members, min(len(members), READ_QUORUM))
        for node in away:
            node.reachable = False
        self.scheduler.after(self.scheduler.rng.random() * 10, self._open_halves, away)

    def _open_halves(self, away: list[Node]) -> None:
        """Those with the most log, or the least, answer readers, or a writer that fails.

        That happens a few times; then a writer comes.
        """
        for node in away:
            node.reachable = True
        if self.wounded:
            return
        rng = self.scheduler.rng
        for _ in range(rng.randint(2, 8)):
            members, newest = self._members_up()
            rng.shuffle(members)
            members.sort(key=lambda node: node.core.scl, reverse=rng.random() < 0.5)
            if rng.random() < 0.3:
                self._fail_to_open(members[:WRITE_QUORUM], rng.randint(1, 2))
            else:
                self._show(members[:READ_QUORUM], newest)
        self.take_over()

    def _fail_to_open(self, answering: list[Node], adopting: int) -> None:
        """A writer dies when a few segments have adopted its cut."""
        opening = Opening()
        for node in answering:
            opening.seen(node.core.status())
        for node in answering:
            opening.promised(node.fence(opening.epoch))
        if opening.may_cut:
            for node in answering[:adopting]:
                node.follow(opening.cut(), opening.membership)

    def _members_up(self) -> tuple[list[Node], Membership]:
        up = [node for node in self.nodes.values() if node.up]
        newest = max((node.core.membership for node in up), key=_version, default=Membership())
        return [node for node in up if node.core.id in newest.segments], newest

    def _show(self, answering: list[Node], newest: Membership) -> None:
        """The answering segments agree on the end of the log, and readers see up to it."""
        epoch = Epoch(max((node.core.promised for node in answering), default=Epoch(0)) + 1)
        try:
            point = read_point([node.fence(epoch) for node in answering], newest)
        except QuorumLostError:
            return
        for node in answering:
            node.follow(point.cut(epoch), newest)
        best = max(answering, key=lambda node: node.core.scl)
        log = [batch for batch in best.durable if batch.end <= point.lsn]
        for node in answering:
            node.copy([batch for batch in log if batch.previous >= node.core.scl])
            if not node.holds(log):
                self.fail(f"{node.core.id} does not hold what readers are shown")
        common = min(len(log), len(self.promised))
        if len(log) < len(self.promised) or log[:common] != self.promised[:common]:
            self.fail("readers are shown something else than what was promised (invariant 2)")
        common = min(len(log), len(self.shown))
        if log[:common] != self.shown[:common]:
            self.fail("two halves show readers different things (invariant 2)")
        if len(log) > len(self.shown):
            self.shown, self.shown_at = log, epoch

    # invariants ------------------------------------------------------------------------------

    def became_durable(self, writer: SimulatedWriter) -> None:
        """A writer tells its clients that everything up to its VDL is durable."""
        if any(node.went_back for node in self.nodes.values()):
            self.fail("a segment went back to an older membership")
        vdl = writer.vdl
        log = [batch for batch in writer.log if batch.end <= vdl]
        if log and not log[-1].consistent:
            self.fail(f"the VDL {vdl} is no consistency point")
        if (log[-1].end if log else 0) != vdl:
            self.fail(f"the VDL {vdl} is the end of no batch of its writer")
        common = min(len(log), len(self.promised))
        if log[:common] != self.promised[:common]:
            self.fail("two writers told their clients different things (invariants 1 and 3)")
        common = min(len(log), len(self.shown))
        later = writer.volume is not None and writer.volume.epoch > self.shown_at
        if log[:common] != self.shown[:common] or (later and common < len(self.shown)):
            self.fail("what readers were shown is no part of the log any more (invariant 2)")
        self.check_copies(writer, log)
        if len(log) > len(self.promised):
            self.promised = log

    def check_copies(self, writer: SimulatedWriter, log: list[Batch]) -> None:
        """What is said to be durable lies on the disks of a write quorum (invariants 1 and 2)."""
        assert writer.volume is not None
        for members in writer.volume.membership.sets:
            copies = sum(
                self.nodes[each].damaged or self.nodes[each].holds(log) for each in members
            )
            if copies < WRITE_QUORUM and not self.superseded(writer):
                self.fail(f"{copies} copies of what epoch {writer.volume.epoch} called durable")

    def check_members(self, writer: SimulatedWriter, before: Membership) -> None:
        """A set that counts alone from now on holds on its disks what is durable (invariant 1).

        And both sets know that it was to come: a later opening has to meet one who does.
        """
        assert writer.volume is not None
        told = [
            node.core.id
            for node in self.nodes.values()
            if node.lost or node.kept_membership.version >= before.version
        ]
        if not before.has_quorum(told, WRITE_QUORUM):
            self.fail(f"a set counts alone, and only {', '.join(told)} were told of the change")
        if any(node.core.promised > writer.volume.epoch for node in self.nodes.values()):
            return
        log = [batch for batch in writer.log if batch.end <= writer.vdl]
        members = [self.nodes[each] for each in writer.volume.membership.segments]
        copies = sum(each.damaged or each.durable[: len(log)] == log for each in members)
        if copies < WRITE_QUORUM:
            self.fail(f"{copies} copies in the set that a replacement left")

    def superseded(self, writer: SimulatedWriter) -> bool:
        """Whether what this writer calls durable was promised before, by whomever."""
        return bool(self.promised) and writer.vdl <= self.promised[-1].end

    def check_az_and_one_more(self) -> None:
        """With a zone and one more segment lost, the rest still knows all that was promised."""
        self.note_repairs()
        if not self.promised or self.wounded:
            return
        newest = self.newest_membership
        az = self.scheduler.rng.choice(AZS)
        left = [each for each in newest.segments if not each.startswith(az)]
        left.remove(self.scheduler.rng.choice(left))
        try:
            point = read_point((self.nodes[each].status_on_disk() for each in left), newest)
        except StorageError:
            return  # a replacement under way can need more than is left
        if point.lsn < self.promised[-1].end:
            self.fail(f"lost {self.promised[-1].end - point.lsn} bytes with {az} and one more")

    def fail(self, what: str) -> None:
        """Raise Violation, with the command that runs this seed again."""
        mutation = f" --mutation {self.mutation}" if self.mutation else ""
        raise Violation(
            f"seed {self.seed} at {self.scheduler.now:.2f} ms: {what}\n"
            f"python -m cluster_runtime.storage.simulation --seed {self.seed}{mutation} --trace"
        )


def run_seed(
    seed: int,
    *,
    steps: int = STEPS,
    trace: Callable[[str], None] | None = None,
    mutation: str | None = None,
) -> int:
    """Run one seed; return how many bytes of log were promised. Raises Violation.

    mutation: the deliberate bug that the cores have now (see `mutations.mutated`).
    """
    world = World(seed, trace, mutation)
    world.scheduler.run(steps)
    return world.promised[-1].end if world.promised else 0


def _version(membership: Membership) -> int:
    return membership.version
