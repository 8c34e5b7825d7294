"""Ids of stored pictures in; each uploaded once more, under its id and its names, for the stream to answer again."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from cassandra.cluster import Session

from inkstream.producer.pictures import Failure, Picture
from inkstream.producer.send import Flight, Sent, open_producer
from inkstream.settings import ImageSettings, KafkaSettings
from inkstream.store.quarantine import upload_of


def replay(
    session: Session,
    ids: Iterable[str],
    kafka: KafkaSettings,
    image: ImageSettings,
    on_progress: Callable[[Sent], None] = lambda _: None,
) -> Sent:
    """Send each picture from Cassandra's bytes, once; wait until Kafka has acknowledged or refused each.

    A replay is a new message of the same key, with the headers of the upload, its time among them, and `replay-of`. It
    takes the place of the first upload when the stream stores it; corrections stay.

    Raises:
        ServiceError: Kafka or Cassandra does not answer.
    """
    result = Sent()
    with open_producer(kafka, image) as producer:
        flight = Flight(producer, kafka, result)
        for image_id in dict.fromkeys(ids):
            upload = upload_of(session, image_id)
            if upload is None:
                result.add_failure(Failure(image_id, "it is not stored"))
                continue
            content, named = upload
            headers = [(name, text.encode(errors="replace")) for name, text in named.items()]
            headers.append(("replay-of", image_id.encode()))
            flight.send(Picture(named.get("filename", image_id), image_id, content), image_id, headers)
            on_progress(result)
        flight.finish()
    on_progress(result)
    return result
