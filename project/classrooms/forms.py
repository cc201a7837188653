"""What teachers send: the target of a transfer, a roster file, and each line of that file."""

from datetime import date, datetime

from django import forms
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from .models import Classroom

MAX_ROSTER = 5 * 1024 * 1024  # bytes; some 80,000 students
EARLIEST_BIRTH = date(1900, 1, 1)


class TransferForm(forms.Form):
    """Choose another classroom of the same school."""

    target = forms.ModelChoiceField(
        Classroom.objects.none(),
        label=gettext_lazy("Move all students to"),
        empty_label=gettext_lazy("Choose a classroom"),
        error_messages={
            "invalid_choice": gettext_lazy("Choose another classroom of this school.")
        },
    )

    def __init__(self, classroom: Classroom, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.classroom = classroom
        self.fields["target"].queryset = classroom.siblings()

    def clean(self):
        """Refuse a classroom that has nobody to move."""
        if not self.classroom.students.exists():
            raise ValidationError(_("There are no students to move in this classroom."))
        return super().clean()


class RosterForm(forms.Form):
    """Choose the file. What is in it is the job's business."""

    roster = forms.FileField(
        label=gettext_lazy("Roster"),
        max_length=200,
        widget=forms.FileInput(attrs={"accept": ".csv,text/csv"}),
        error_messages={
            "required": gettext_lazy("Choose a file first."),
            "empty": gettext_lazy("The file is empty."),
        },
    )

    def clean_roster(self) -> UploadedFile:
        """Refuse a file that is too large."""
        roster = self.cleaned_data["roster"]
        if roster.size > MAX_ROSTER:
            raise ValidationError(
                _(
                    "The file is larger than 5 MB. "
                    "Split it, and import the parts one after the other."
                )
            )
        return roster


class StudentRow(forms.Form):
    """One line of a roster."""

    first_name = forms.CharField(
        max_length=60,
        error_messages={
            "required": gettext_lazy("The first name is missing."),
            "max_length": gettext_lazy("The first name is longer than 60 characters."),
        },
    )
    last_name = forms.CharField(
        max_length=60,
        error_messages={
            "required": gettext_lazy("The last name is missing."),
            "max_length": gettext_lazy("The last name is longer than 60 characters."),
        },
    )
    born = forms.CharField(
        error_messages={"required": gettext_lazy("The date of birth is missing.")}
    )
    email = forms.EmailField(
        max_length=254,
        error_messages={
            "required": gettext_lazy("The e-mail address is missing."),
            "invalid": gettext_lazy("“%(value)s” is not an e-mail address."),
            "max_length": gettext_lazy("The e-mail address is longer than 254 characters."),
        },
    )

    def clean_born(self) -> date:
        """Accept the date of birth of a living person, written year first."""
        text = self.cleaned_data["born"]
        try:
            born = datetime.strptime(text, "%Y-%m-%d").date()
        except ValueError:
            raise ValidationError(
                _("“%(date)s” is not a date like 2014-09-23.") % {"date": text}
            ) from None
        if not EARLIEST_BIRTH <= born <= timezone.localdate():
            raise ValidationError(
                _("%(date)s cannot be a student’s date of birth.") % {"date": text}
            )
        return born

    def clean_email(self) -> str:
        """Write addresses in small letters, so that equal ones are found."""
        return self.cleaned_data["email"].lower()
